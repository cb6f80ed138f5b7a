"""`llm-mesh status`, `top` and `tail`: a running mesh in the terminal, read from its view."""
