"""Requests that mean the same: what must be equal in them, and what may be alike."""
