"""OpenAI's chat completions and what stands beside them: completions, embeddings, models."""

from __future__ import annotations

from .dialect import CHAT, DIALECT, OPERATIONS

__all__ = ["CHAT", "DIALECT", "OPERATIONS"]
