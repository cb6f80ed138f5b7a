"""Limits and cached responses in Redis or Valkey, shared by processes and machines."""

from __future__ import annotations

from .cache import RedisCache
from .store import RedisStore

__all__ = ["RedisCache", "RedisStore"]
