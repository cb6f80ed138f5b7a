"""The WSGI adapter: the middleware, requests from environs, and replies."""

from __future__ import annotations

from .middleware import LLMMeshWSGIMiddleware
from .reply import WSGIReply

__all__ = ["LLMMeshWSGIMiddleware", "WSGIReply"]
