"""The WSGI adapter: the middleware, what it reads from an environ, and what it answers with."""

from __future__ import annotations

from .middleware import LLMMeshWSGIMiddleware
from .reply import WSGIReply

__all__ = ["LLMMeshWSGIMiddleware", "WSGIReply"]
