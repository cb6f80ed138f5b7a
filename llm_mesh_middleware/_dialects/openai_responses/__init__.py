"""OpenAI's Responses API."""

from __future__ import annotations

from .dialect import DIALECT, OPERATIONS, RESPONSES

__all__ = ["DIALECT", "OPERATIONS", "RESPONSES"]
