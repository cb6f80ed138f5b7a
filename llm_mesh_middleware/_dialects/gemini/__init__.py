"""Google's Gemini API, of AI Studio and of Vertex AI."""

from __future__ import annotations

from .counting import COUNTING_CLIENT
from .dialect import COUNT, COUNTER, DIALECT, GENERATE, OPERATIONS, STREAM, VERTEX_COUNTER

__all__ = [
    "COUNT",
    "COUNTER",
    "COUNTING_CLIENT",
    "DIALECT",
    "GENERATE",
    "OPERATIONS",
    "STREAM",
    "VERTEX_COUNTER",
]
