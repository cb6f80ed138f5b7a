"""The models of `LLMPolicy`: limits, budgets, guards and caches."""
