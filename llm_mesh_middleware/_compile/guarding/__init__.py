"""Guards of `LLMPolicy` documents, and whom they ask."""
