"""The WSGI adapter: the middleware, what it reads from an environ, and what it answers with."""

from __future__ import annotations

from .answer import Answer
from .middleware import LLMMeshWSGIMiddleware

__all__ = ["Answer", "LLMMeshWSGIMiddleware"]
