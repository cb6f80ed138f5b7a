"""The models of `LLMPolicy`: its limits, its guards and its caches."""
