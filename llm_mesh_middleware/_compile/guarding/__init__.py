"""Guards of `LLMPolicy` documents, and the services that they ask."""
