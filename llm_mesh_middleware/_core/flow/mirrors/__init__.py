"""Mirrors: copies of requests for other providers, whose responses nobody waits for."""
