"""Anthropic's Messages API."""

from __future__ import annotations

from .dialect import COUNT_TOKENS, DIALECT, MESSAGES, OPERATIONS
from .hosting import Hosting

__all__ = ["COUNT_TOKENS", "DIALECT", "MESSAGES", "OPERATIONS", "Hosting"]
