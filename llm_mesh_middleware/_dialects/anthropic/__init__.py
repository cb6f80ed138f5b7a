"""Anthropic's Messages API."""

from __future__ import annotations

from .dialect import DIALECT, MESSAGES, OPERATIONS

__all__ = ["DIALECT", "MESSAGES", "OPERATIONS"]
