"""Caches of `LLMPolicy` documents, and what finds entries of alike requests."""
