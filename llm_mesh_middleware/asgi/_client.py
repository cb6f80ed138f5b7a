"""The client of one request, as an ASGI server speaks for it.

Only a task of its own can wait for `http.disconnect`. It is started when the reply is not there
after 70 ms: a departure is to be noticed within 100 ms, and a task costs a fifth of a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from .._core.private import PerCall
from .._engine.tasks.delays import Delays
from .._engine.tasks.interrupt import Interrupt
from .._engine.tasks.per_loop import per_loop
from .._engine.tasks.prompt import begun
from ..exceptions import ClientDisconnected
from ..inbound import Inbound, Reply
from .body import GONE, read_body
from .protocol import Receive, Scope, Send

__all__ = ["ASGIClient"]

_UNWATCHED_S = 0.07
_PIECE: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": True}
_delays_of = per_loop(lambda loop: Delays(loop, _UNWATCHED_S))


class ASGIClient(PerCall):
    """Reads a request's body, then watches for the client's departure; sends the reply."""

    _scope: Scope
    _receive: Receive
    _send: Send
    _inbound: Inbound[Any]
    loop: asyncio.AbstractEventLoop | None = None
    task: asyncio.Task[None] | None = None
    _watch: asyncio.Task[None] | None = None
    _interrupt: Interrupt = None  # type: ignore[assignment]  # set when serving begins
    _delays: Delays | None = None  # these two are set with the body
    _context: Context = None  # type: ignore[assignment]

    def begin(self, interrupt: Interrupt) -> None:
        """Fire `interrupt` if the client leaves after its request was read."""
        self._interrupt = interrupt

    def close(self) -> None:
        """End the watch."""
        if self._delays is not None:
            self._delays.waiting.pop(self, None)
        if (watch := self._watch) is not None:
            self._watch = None  # a cancelled task keeps the frame that holds us
            watch.cancel()

    def aask(self, request: Any, until: float | None) -> bytes | Coroutine[Any, Any, bytes]:
        """Return the body, of at most `request` bytes; then watch the client."""
        body = read_body(self._receive, request, self._inbound.request_s)
        if body.__class__ is not bytes:
            return self._waited_for(body)  # type: ignore[arg-type]
        self._watch_soon()
        return body

    async def _waited_for(self, body: Coroutine[Any, Any, bytes]) -> bytes:
        data = await body
        self._watch_soon()
        return data

    def _watch_soon(self) -> None:
        self._context = copy_context()  # as a task that is started here would have it
        self._delays = delays = _delays_of(self._interrupt.loop)
        delays.begin(self)

    def due(self) -> None:
        """Start the watch; called when the delay is over."""
        watch = self._watch_client()
        self._watch = self._interrupt.loop.create_task(watch, context=self._context)

    async def whole(self, reply: Reply) -> None:
        """Send a reply whose body is bytes."""
        await self.start(reply)
        await self._send({"type": "http.response.body", "body": reply.body})

    def start(self, reply: Reply) -> Awaitable[None]:
        """Send a head."""
        headers = reply.headers
        if self._scope["http_version"][:1] != "1":  # RFC 9113 8.2.2
            headers = [field for field in headers if field[0] != b"connection"]
        message = {"type": "http.response.start", "status": reply.status, "headers": headers}
        return self._send(message)

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Send a piece of a stream."""
        message = _PIECE.copy()  # at two thirds of the price of a new one
        message["body"] = data
        return begun(self._send(message))

    def end(self, data: bytes) -> Awaitable[None]:
        """Send the last piece."""
        return self._send({"type": "http.response.body", "body": data})

    async def _watch_client(self) -> None:
        """Wait for the client to disconnect, the only message after the body."""
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except OSError:
            pass
        self._interrupt.fire(ClientDisconnected(GONE))
