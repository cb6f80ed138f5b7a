"""Ollama's own chat API, which clients reach by translation only."""

from __future__ import annotations

from ..translation.pair import ForeignAPI
from .dialect import DIALECT, OllamaChat

__all__ = ["API", "DIALECT", "OllamaChat"]

API = ForeignAPI(side=DIALECT, vendor="ollama", path="/api/chat")
