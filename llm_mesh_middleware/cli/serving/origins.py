"""Requests of web pages, which a mesh on localhost must not serve by accident.

Any page in a browser can send requests to localhost, and a mesh that served them would let the
page's author use its owner's keys. Browsers say where a request is from: in `Origin`, with every
POST and every CORS request, and in `Sec-Fetch-Site`. Programs send neither.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Collection

from ..._core.values.messages import error_object
from ..._mesh.seldom import Seldom
from ...asgi import ASGIApp, Message, Receive, Scope, Send

__all__ = ["OriginGuard"]

logger = logging.getLogger("llm_mesh_middleware")

# Typed into the address bar, or sent by a page of the same host, which can only be a page of the
# application in front. A POST of such a page has an Origin.
_NO_OTHER_SITE = frozenset((b"none", b"same-origin"))
_MAX_SHOWN = 128
_MAX_NAMES = 1024
_NAME_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ")


class OriginGuard:
    """Refuses requests of pages from other origins than `origins`; `*` among them allows all."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)
        self._warnings = Seldom()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection scope; a request of a program goes directly to the app."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        origin = site = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if origin is None and (site is None or site in _NO_OTHER_SITE):
            return self._app(scope, receive, send)
        return self._serve_page(origin, scope, receive, send)

    async def _serve_page(
        self, origin: bytes | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if origin is None or not (origin in self._origins or b"*" in self._origins):
            await self._refuse(origin, send)
            return
        asked = {
            name: value for name, value in scope["headers"] if name.startswith(b"access-control-")
        }
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            await _answer_preflight(origin, asked, send)
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", b"*")
                message = {**message, "headers": [*message["headers"], *_shared(origin), exposed]}
            await send(message)

        await self._app(scope, receive, send_shared)

    async def _refuse(self, origin: bytes | None, send: Send) -> None:
        shown = "another site" if origin is None else repr(origin[:_MAX_SHOWN].decode("latin-1"))
        if self._warnings.allows(shown, time.monotonic()):
            logger.warning(
                "refused a web page of %s; to serve it, add its origin to LLM_MESH_ORIGINS", shown
            )
        message = "this LLM mesh serves no web pages of other origins (LLM_MESH_ORIGINS)"
        body = error_object(message, type="permission_error", code="access_denied")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
            (b"vary", b"origin"),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _answer_preflight(origin: bytes, asked: dict[bytes, bytes], send: Send) -> None:
    """Allow the page's request; which header fields go upstream is decided later."""
    headers = [*_shared(origin), (b"access-control-allow-methods", b"GET, POST")]
    names = asked.get(b"access-control-request-headers", b"")
    if names and len(names) <= _MAX_NAMES and _NAME_CHARACTERS.issuperset(names):
        headers.append((b"access-control-allow-headers", names))
    if asked.get(b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    headers.append((b"access-control-max-age", b"600"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _shared(origin: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields that let a page of `origin` read the reply; none lets it send cookies."""
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
