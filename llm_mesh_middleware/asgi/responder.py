"""One request for a virtual host, from its arrival to the last byte of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterable, Mapping

from .._core.http.sse import make_event
from .._core.routing.table import VirtualHost
from .._core.values.messages import error_object
from .._core.values.payload import read_bool
from .._engine.drivers.delivery import AsyncDelivery
from .._engine.drivers.keepalive import COMMENT, kept_alive, open_kept_alive
from .._engine.tasks.interrupt import Interrupt
from ..exceptions import AnswerableError, ClientDisconnected, ServerShutdown
from ..inbound import ClientRequest, Headers, Inbound, check_hosts
from .body import GONE, read_body
from .protocol import Receive, Scope, Send

__all__ = ["Responder"]

# How long a client that does not read may keep a process from ending, when told that it ends.
_LAST_WORDS_S = 1.0
_EVENTS = (b"content-type", b"text/event-stream")


class Responder:
    """One request for a virtual host."""

    def __init__(
        self,
        inbound: Inbound[Scope],
        host: VirtualHost,
        scope: Scope,
        receive: Receive,
        send: Send,
        interrupts: set[Interrupt],
    ) -> None:
        """`interrupts` has the request's own while it is served, for whoever must end it."""
        self._inbound = inbound
        self._mesh = inbound.mesh
        self._host = host
        self._scope = scope
        self._receive = receive
        self._send = send
        self._interrupts = interrupts
        self._has_started = False
        self._has_answer = False

    async def respond(self, path: str, hosts: list[bytes], authority: bytes | None) -> None:
        """Answer, or fall silent if the client goes away."""
        try:
            request = await self._admit(path, hosts, authority)
            with Interrupt() as interrupt:
                watch = interrupt.start_beside(self._watch(interrupt))
                self._interrupts.add(interrupt)
                try:
                    await self._serve(request, interrupt)
                finally:
                    self._interrupts.discard(interrupt)
                    watch.cancel()
        except AnswerableError as error:
            await self._send_error(error)
        except asyncio.CancelledError:  # by the server, at the end of its patience
            if not self._has_answer:
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(_LAST_WORDS_S):
                        await self._send_error(ServerShutdown())
            raise
        except (ClientDisconnected, OSError):  # OSError: `send` to a client that is gone (ASGI 2.4)
            return

    async def _serve(self, request: ClientRequest, interrupt: Interrupt) -> None:
        interval_s = self._mesh.settings.sse_keepalive
        opening = self._mesh.asend(
            self._host, request, why=lambda: interrupt.error or ServerShutdown()
        )
        if interval_s:
            show_life = functools.partial(self._show_life, request)
            delivery = await open_kept_alive(opening, interval_s, show_life)
        else:
            delivery = await opening
        self._has_answer = True
        try:
            if delivery.reply.is_stream:
                await self._stream(delivery, interval_s)
            else:
                await self._send_whole(delivery)
        except asyncio.CancelledError:
            is_gone = isinstance(interrupt.error, ClientDisconnected)
            if is_gone or not (self._has_started and delivery.reply.is_stream):
                raise
            await self._break_off(delivery)
            if interrupt.error is None:
                raise
        finally:
            interrupt.disarm()  # a client that leaves after its answer must not leave a connection
            await delivery.aclose()

    async def _send_whole(self, delivery: AsyncDelivery) -> None:
        reply, body = delivery.reply, delivery.take()
        if not self._has_started:
            await self._start(reply.status, reply.headers)
        elif _EVENTS not in reply.headers:  # a stream has begun before there was an answer
            body = make_event(body.replace(b"\r", b"").replace(b"\n", b""))
        await self._send({"type": "http.response.body", "body": body})

    async def _stream(self, delivery: AsyncDelivery, interval_s: float) -> None:
        if not self._has_started:
            await self._start(delivery.reply.status, delivery.reply.headers)
        send = self._send
        if interval_s:
            async with contextlib.aclosing(kept_alive(delivery, interval_s)) as body:
                async for data in body:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        else:
            while data := await delivery.read():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _break_off(self, delivery: AsyncDelivery) -> None:
        """The server ends before the stream does, and a silent end would pass for a whole one."""
        rest = delivery.break_off(ServerShutdown())
        if rest is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._send({"type": "http.response.body", "body": rest})

    async def _show_life(self, request: ClientRequest) -> None:
        """A comment for a client that waits for a stream; the first one commits to status 200."""
        if not self._has_started:
            if read_bool(request.fields, "stream") is not True:
                return
            await self._start(200, [_EVENTS])
        await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._has_started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _admit(self, path: str, hosts: list[bytes], authority: bytes | None) -> ClientRequest:
        """The request with its body, if it may be served."""
        scope, settings = self._scope, self._mesh.settings
        peer = scope.get("client")
        request = ClientRequest(
            scope["method"],
            path,
            Headers(scope["headers"]),
            peer=peer[0] if peer else None,
            http_version=scope["http_version"],
            scheme=scope.get("scheme", "http"),
            is_inbound="starlette.opentelemetry" not in scope,
        )
        try:
            check_hosts(hosts, authority)
            request.attributes = self._inbound.admit(scope, request.peer, request.headers)
            request.body = await read_body(
                self._receive,
                max_bytes=settings.max_request_bytes,
                timeout_s=settings.request_timeout,
                interrupts=self._interrupts,
            )
        except AnswerableError as error:
            self._mesh.refuse(self._host, request, error)
            raise
        except asyncio.CancelledError:
            self._mesh.refuse(self._host, request, ServerShutdown())
            raise
        return request

    async def _watch(self, interrupt: Interrupt) -> None:
        """After the body, the only thing left to receive is that the client is gone."""
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except OSError:
            pass
        interrupt.fire(ClientDisconnected(GONE))

    async def _send_error(self, error: AnswerableError) -> None:
        body = error_object(error.message, type=error.type, code=error.code, param=error.param)
        if self._has_started:
            body = make_event(body)
        else:
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *_encoded(error.headers, self._scope["http_version"]),
            ]
            await self._start(error.status, headers)
        await self._send({"type": "http.response.body", "body": body})


def _encoded(headers: Mapping[str, str], http_version: str) -> Iterable[tuple[bytes, bytes]]:
    """Header fields for ASGI; `connection` exists in HTTP/1 only (RFC 9113 8.2.2)."""
    for name, value in headers.items():
        if name != "connection" or http_version.startswith("1"):
            yield name.encode("latin-1"), value.encode("latin-1")
