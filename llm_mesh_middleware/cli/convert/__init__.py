"""`llm-mesh convert`: manifests from the configuration of another proxy."""
