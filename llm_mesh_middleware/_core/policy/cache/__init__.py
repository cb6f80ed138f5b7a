"""Answers from the cache as a policy."""

from __future__ import annotations

from .policy import CachePolicy

__all__ = ["CachePolicy"]
