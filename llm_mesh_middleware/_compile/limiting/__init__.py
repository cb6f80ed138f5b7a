"""Limits and budgets of `LLMPolicy` documents, as values of the core."""
