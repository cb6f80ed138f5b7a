"""Decisions about a request before it is sent."""
