"""Google's Gemini API, of AI Studio and of Vertex AI."""

from __future__ import annotations

from .dialect import COUNT, COUNTER, DIALECT, GENERATE, OPERATIONS, STREAM, VERTEX_COUNTER

__all__ = [
    "COUNT",
    "COUNTER",
    "DIALECT",
    "GENERATE",
    "OPERATIONS",
    "STREAM",
    "VERTEX_COUNTER",
]
