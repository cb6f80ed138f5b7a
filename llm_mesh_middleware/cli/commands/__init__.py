"""The commands that read a configuration or call providers, one module each."""
