"""Passes requests and responses on in their own dialect, unread except for facts."""

from __future__ import annotations

from .transformer import SameTransformer

__all__ = ["SameTransformer"]
