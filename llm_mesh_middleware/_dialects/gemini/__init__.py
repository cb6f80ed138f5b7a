"""Google's Gemini API, of AI Studio and of Vertex AI."""

from __future__ import annotations

from .dialect import COUNT, DIALECT, GENERATE, OPERATIONS, STREAM

__all__ = ["COUNT", "DIALECT", "GENERATE", "OPERATIONS", "STREAM"]
