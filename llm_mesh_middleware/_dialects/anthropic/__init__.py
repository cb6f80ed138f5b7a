"""Anthropic's Messages API."""

from __future__ import annotations

from .dialect import COUNT_TOKENS, COUNTER, DIALECT, MESSAGES, OPERATIONS, VERTEX_COUNTER
from .hosting import VERTEX_VERSION, Hosting

__all__ = [
    "COUNTER",
    "COUNT_TOKENS",
    "DIALECT",
    "MESSAGES",
    "OPERATIONS",
    "VERTEX_COUNTER",
    "VERTEX_VERSION",
    "Hosting",
]
