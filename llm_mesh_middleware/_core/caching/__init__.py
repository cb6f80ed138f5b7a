"""Answering a request that was answered before: keys, entries, and calls that many wait for."""
