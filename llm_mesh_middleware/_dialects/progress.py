"""The mark of a stream's end, in OpenAI's dialects and in those that took after them."""

from __future__ import annotations

__all__ = ["DONE"]

DONE = b"[DONE]"
