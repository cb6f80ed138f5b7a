"""Caching of responses: keys, entries, and calls that several requests share."""
