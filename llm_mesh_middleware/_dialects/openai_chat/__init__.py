"""OpenAI's chat completions, with text completions and embeddings."""

from __future__ import annotations

from .dialect import CHAT, DIALECT, OPERATIONS

__all__ = ["CHAT", "DIALECT", "OPERATIONS"]
