"""Limits: how much of what a caller may use in which time."""
