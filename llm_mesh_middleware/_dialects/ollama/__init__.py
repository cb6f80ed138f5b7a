"""Ollama's own chat API, which clients reach by translation only."""

from __future__ import annotations

from .dialect import DIALECT, OllamaChat

__all__ = ["DIALECT", "OllamaChat"]
