"""Caches of `LLMPolicy` documents, exact and semantic."""
