"""The commands that look at a configuration or at providers and end; one module each."""
