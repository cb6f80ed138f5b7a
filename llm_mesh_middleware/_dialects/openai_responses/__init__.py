"""OpenAI's Responses API."""

from __future__ import annotations

from .counting import COUNTED_AT
from .dialect import COUNTER, DIALECT, OPERATIONS, RESPONSES

__all__ = ["COUNTED_AT", "COUNTER", "DIALECT", "OPERATIONS", "RESPONSES"]
