"""A request for the ASGI application: its scope, `receive` and `send`."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from httptools import parse_url

from ....asgi import ASGIApp, Message, Scope
from ..direct import RequestHead
from .incoming import IncomingBody
from .reply_writer import ReplyWriter, Sink

__all__ = ["AppCall", "scope_of"]


class AppCall:
    """One request for the application."""

    __slots__ = ("_app", "_has_left", "_is_read", "_scope", "_sink", "body", "task", "writer")

    task: asyncio.Task[None]

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: IncomingBody,
        writer: ReplyWriter,
        sink: Sink,
    ) -> None:
        self._app = app
        self._scope = scope
        self._sink = sink
        self._is_read = False
        self._has_left = False
        self.body = body
        self.writer = writer

    async def run(self) -> None:
        """Serve the request."""
        await self._app(self._scope, self._receive, self._send)

    def gone(self) -> None:
        """Note that the client has left."""
        self._has_left = True
        self.body.wake()

    async def _receive(self) -> Message:
        body = self.body
        if not self._is_read:
            if not body.is_complete and not body.has_pieces and not self._has_left:
                await body.wait()
            if not self._has_left:
                self._is_read = body.is_complete
                return {
                    "type": "http.request",
                    "body": body.take(),
                    "more_body": not self._is_read,
                }
        while not (self._has_left or self.writer.is_over):
            await body.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        writer = self.writer
        if self._has_left:
            return
        if message["type"] == "http.response.start":
            if self.body.may_never_come:
                writer.keeps_alive = False
            writer.start(message["status"], list(message.get("headers", ())))
        elif message.get("more_body", False):
            writer.write(message.get("body", b""))
        else:
            writer.end(message.get("body", b""))
            self.body.wake()
        if (waiting := self._sink.drained()) is not None:
            await waiting


def scope_of(head: RequestHead, connection: dict[str, Any]) -> Scope:
    """Return the scope of a request.

    An absolute or authority-form target becomes the path, unchanged: a proxy must use the target,
    not the Host field (RFC 9112 3.2.2).
    """
    target = head.target
    if target.startswith((b"/", b"*")):
        url = parse_url(target)
        raw_path, query = url.path or b"", url.query or b""
        path = unquote(raw_path.decode("ascii")) if b"%" in raw_path else raw_path.decode("ascii")
    else:
        raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("latin-1")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.http_version,
        "method": head.method,
        "scheme": head.arrival.scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(head.headers.raw),
        **connection,
    }
