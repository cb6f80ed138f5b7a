"""The neutral form between dialects: one conversation, one answer, one stream of deltas.

A request or an answer takes this form only where the client and the provider speak different
dialects. It is richer than any dialect, so that a writer decides what is lost, never a reader.
"""
