"""Anthropic's Messages API."""

from __future__ import annotations

from .dialect import DIALECT, MESSAGES, OPERATIONS
from .hosting import Hosting

__all__ = ["DIALECT", "MESSAGES", "OPERATIONS", "Hosting"]
