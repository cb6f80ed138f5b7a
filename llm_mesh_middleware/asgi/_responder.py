"""One request for a virtual host, from its arrival to the last byte of its reply.

    respond   read body ─> serve ──────> send head ─> send pieces ─> end
    client    ············ watched: a client that leaves interrupts ·····
    server    may interrupt (graceful shutdown) or cancel (end of its grace period)

An interrupt before the head becomes an error reply, one during a stream its last event.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from .._engine.tasks.interrupt import Interrupt
from .._engine.tasks.prompt import within
from ..exceptions import AnswerableError, ClientDisconnected, ServerShutdown
from ..inbound import Addressed, AsyncDelivery, Inbound, Reply
from .body import GONE, read_body
from .protocol import Message, Receive, Scope, Send
from .scope import request_of

__all__ = ["Responder"]

# How long a client that does not read may delay the end of a process.
_LAST_WORDS_S = 1.0


class Responder:
    """One request for a virtual host."""

    def __init__(
        self,
        inbound: Inbound[Scope],
        addressed: Addressed,
        scope: Scope,
        receive: Receive,
        send: Send,
        interrupts: set[Interrupt],
    ) -> None:
        """`interrupts` has the request's own while it is served, for whoever must end it."""
        self._inbound = inbound
        self._addressed = addressed
        self._scope = scope
        self._receive = receive
        self._send_now = send
        self._interrupts = interrupts
        self._settings = inbound.mesh.settings
        self._has_reply = False
        self._watch: asyncio.Task[None] | None = None

    async def respond(self) -> None:
        """Send the reply, or stop if the client disconnects."""
        try:
            with Interrupt() as interrupt:
                self._interrupts.add(interrupt)
                try:
                    await self._serve(interrupt)
                finally:
                    self._interrupts.discard(interrupt)
                    if self._watch is not None:
                        self._watch.cancel()
        except AnswerableError as error:
            await self._send_whole(self._addressed.refusal(error))
        except asyncio.CancelledError:  # by the server, at the end of its grace period
            if not self._has_reply:
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(_LAST_WORDS_S):
                        last = self._addressed.refusal(ServerShutdown())
                        await self._send_whole(last)
            raise
        except (ClientDisconnected, OSError):
            # OSError: `send` to a client that is gone (ASGI 2.4). TimeoutError is one: a client
            # that reads nothing, which must not hold a provider's connection.
            return

    async def _serve(self, interrupt: Interrupt) -> None:
        request = request_of(self._addressed, self._scope, self._scope)
        delivery = await self._inbound.aserve(
            self._addressed,
            request,
            _RequestBody(self, interrupt),
            why=lambda: interrupt.error or ServerShutdown(),
        )
        self._has_reply = True
        try:
            if delivery.reply.is_stream:
                await self._stream(delivery, interrupt)
            else:
                await self._send_whole(delivery.reply)
        finally:
            interrupt.disarm()  # a client that leaves after its reply must not leave an open
            # connection
            await delivery.aclose()

    async def _stream(self, delivery: AsyncDelivery, interrupt: Interrupt) -> None:
        send, limit_s, has_started = self._send_now, self._settings.idle_timeout, False
        try:
            await self._start(delivery.reply)
            has_started = True
            while data := await delivery.read():
                message = {"type": "http.response.body", "body": data, "more_body": True}
                await within(limit_s, send(message))
            await self._send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if isinstance(interrupt.error, ClientDisconnected) or not has_started:
                raise
            await self._break_off(delivery)
            if interrupt.error is None:
                raise

    async def _break_off(self, delivery: AsyncDelivery) -> None:
        """Send a last event: without it, a stream cut by a shutdown would look complete."""
        last = await delivery.end(ServerShutdown())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._send({"type": "http.response.body", "body": last})

    async def _send(self, message: Message) -> None:
        await within(self._settings.idle_timeout, self._send_now(message))

    async def _send_whole(self, reply: Reply) -> None:
        await self._start(reply)
        await self._send({"type": "http.response.body", "body": reply.body})

    async def _start(self, reply: Reply) -> None:
        headers = reply.headers
        if not self._scope["http_version"].startswith("1"):  # RFC 9113 8.2.2
            headers = [field for field in headers if field[0] != b"connection"]
        message = {"type": "http.response.start", "status": reply.status, "headers": headers}
        await self._send(message)

    async def read_body(self, max_bytes: int, interrupt: Interrupt) -> bytes:
        """Return the body; after that, a client that disconnects interrupts."""
        body = await read_body(
            self._receive, max_bytes=max_bytes, timeout_s=self._settings.request_timeout
        )
        self._watch = interrupt.start_beside(self._watch_client(interrupt))
        return body

    async def _watch_client(self, interrupt: Interrupt) -> None:
        """Wait for the client to disconnect, the only message after the body."""
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except OSError:
            pass
        interrupt.fire(ClientDisconnected(GONE))


class _RequestBody:
    """The port through which the flow reads the body."""

    __slots__ = ("_interrupt", "_responder")

    def __init__(self, responder: Responder, interrupt: Interrupt) -> None:
        self._responder = responder
        self._interrupt = interrupt

    async def aask(self, request: Any, until: float | None) -> bytes:
        """Return the body, of at most `request` bytes."""
        return await self._responder.read_body(request, self._interrupt)
