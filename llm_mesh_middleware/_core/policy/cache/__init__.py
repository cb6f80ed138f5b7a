"""The cache of responses as a policy."""

from __future__ import annotations

from .policy import CachePolicy
from .semantic import Semantic

__all__ = ["CachePolicy", "Semantic"]
