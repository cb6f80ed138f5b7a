"""Anthropic's Messages API."""

from __future__ import annotations

from .counting import COUNTING_CLIENT
from .dialect import COUNT_TOKENS, COUNTER, DIALECT, MESSAGES, OPERATIONS, VERTEX_COUNTER
from .hosting import VERTEX_VERSION, Hosting

__all__ = [
    "COUNTER",
    "COUNTING_CLIENT",
    "COUNT_TOKENS",
    "DIALECT",
    "MESSAGES",
    "OPERATIONS",
    "VERTEX_COUNTER",
    "VERTEX_VERSION",
    "Hosting",
]
