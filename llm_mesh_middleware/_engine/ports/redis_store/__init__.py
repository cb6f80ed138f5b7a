"""Limits in Redis or Valkey, shared by processes and machines."""

from __future__ import annotations

from .store import RedisStore

__all__ = ["RedisStore"]
