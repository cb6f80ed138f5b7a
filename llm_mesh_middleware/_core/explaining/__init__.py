"""Explain how a request would be routed, without sending it."""
