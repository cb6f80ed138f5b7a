"""Mirrors: copies of requests for other providers, whose responses are discarded."""
