"""Assertions about replies: routing, cache, guards and limits."""
