"""The ASGI middleware: virtual LLM hosts are served, everything else reaches the app."""

from __future__ import annotations

from .middleware import LLMMeshMiddleware
from .protocol import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ASGIApp", "LLMMeshMiddleware", "Message", "Receive", "Scope", "Send"]
