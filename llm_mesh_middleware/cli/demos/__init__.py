"""`llm-mesh demo`: embedded providers, real sockets and TLS, no key and no network."""
