"""Passes requests and responses on in their own dialect; only facts are read."""

from __future__ import annotations

from .transformer import SameTransformer

__all__ = ["SameTransformer"]
