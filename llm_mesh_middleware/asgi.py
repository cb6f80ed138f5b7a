"""The ASGI middleware: virtual LLM hosts are served, everything else reaches the app."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ._core.headers import Headers
from ._core.inbound import check_body, check_hosts, split_target, too_large
from ._core.messages import ClientRequest, error_object
from ._core.payload import read_bool
from ._core.routing import VirtualHost
from ._core.sse import make_event
from ._engine.delivery import AsyncDelivery
from ._engine.interrupt import Interrupt
from ._engine.keepalive import COMMENT, kept_alive, open_kept_alive
from .exceptions import (
    AnswerableError,
    ClientDisconnected,
    ConfigError,
    RequestTimeout,
    ServerShutdown,
)
from .mesh import Config, Mesh
from .settings import MeshSettings

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["LLMMeshMiddleware"]

# The ASGI specification's own types, spelled out: a framework is not imported for them.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_GONE = "the client went away"
# How long a client that does not read may keep a process from ending, when told that it ends.
_LAST_WORDS_S = 1.0
_EVENTS = (b"content-type", b"text/event-stream")


class LLMMeshMiddleware:
    """Serves requests whose Host is a virtual LLM host; the app never sees them.

    All other traffic reaches the app with the very same `scope`, `receive` and `send`.
    Configuration errors end the server's start-up with their text; without lifespan support they
    are raised by the first request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: Config | None = None,
        settings: MeshSettings | None = None,
        mesh: Mesh | None = None,
        attributes: Callable[[Scope], Mapping[str, str]] | None = None,
        authorize: Callable[[Scope], bool] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Wrap `app`; with no other argument everything is read from `LLM_MESH_*`.

        Args:
            app: the ASGI application.
            config: manifests, as `Mesh` takes them.
            settings: as `Mesh` takes them.
            mesh: a mesh to share with other adapters, instead of `config` and `settings`.
            attributes: the application's own facts about a request (plan, tenant), for matching.
            authorize: decides who may use the mesh beside `LLM_MESH_ACCESS`.
            tracer_provider: as `Mesh` takes it.
            meter_provider: as `Mesh` takes it.
            logger_provider: as `Mesh` takes it.
        """
        self.app = app
        self._attributes = attributes
        self._authorize = authorize
        self._config = config
        self._settings = settings
        self._mesh = mesh
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._logger_provider = logger_provider
        self._interrupts: set[Interrupt] = set()

    @property
    def mesh(self) -> Mesh:
        """The mesh behind this middleware, made on first use.

        Not made by the constructor: Starlette calls that inside the lifespan, where servers take an
        exception for an app without lifespan and start all the same.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        if self._mesh is None:
            self._mesh = Mesh(
                self._config,
                settings=self._settings,
                tracer_provider=self._tracer_provider,
                meter_provider=self._meter_provider,
                logger_provider=self._logger_provider,
            )
        return self._mesh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3.0)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        mesh = self._mesh or self.mesh
        host, hosts_seen = b"", 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts_seen += 1
        if hosts_seen == 1 and scope["path"][:1] == "/" and mesh.find(host) is None:
            await self.app(scope, receive, send)
            return

        hosts = [value for name, value in scope["headers"] if name == b"host"]
        authority, path = split_target(scope.get("method", "GET"), _without_root(scope))
        named = hosts if authority is None else [*hosts, authority]
        found = [host for host in map(mesh.find, named) if host is not None]
        if not found:
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
        else:
            responder = _Responder(self, mesh, found[0], scope, receive, send)
            await responder.respond(path, hosts, authority)

    def interrupt(self) -> None:
        """End what is under way: a stream with its `error` event, anything else with 503.

        For a server that is shutting down and has waited long enough; called in its event loop.
        """
        for interrupt in list(self._interrupts):
            interrupt.fire(ServerShutdown())

    def attributes_of(self, scope: Scope, consumer: str | None) -> Mapping[str, str]:
        """What the application and the client key say of a request."""
        facts = dict(self._attributes(scope)) if self._attributes is not None else {}
        if consumer is not None:
            facts["consumer"] = consumer
        return facts

    def authorizer(self, scope: Scope) -> Callable[[], bool] | None:
        """The application's decision on `scope`, to be asked if it is needed."""
        authorize = self._authorize
        return None if authorize is None else lambda: authorize(scope)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Report a bad configuration as a failed start-up; close connections at shutdown."""
        try:
            mesh = self.mesh
        except ConfigError as exc:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return

        await _Lifespan(mesh, receive, send).run(self.app, scope)


class _Lifespan:
    """The app's own lifespan, with the mesh's connections closed before it ends.

    An app that takes no part in it, or refuses the scope outright as Django's handler does, has it
    completed here: the server would else never tell that it is shutting down.
    """

    def __init__(self, mesh: Mesh, receive: Receive, send: Send) -> None:
        self._mesh = mesh
        self._server_receive = receive
        self._server_send = send
        self._phase: str | None = None
        self._has_answered = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Serve the lifespan scope."""
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if self._phase is not None:  # a start-up that failed, not a scope that is refused
                raise
        while not self._has_answered:
            phase = self._phase or (await self._server_receive())["type"]
            self._phase = None
            if phase == "lifespan.shutdown":
                await self._send({"type": "lifespan.shutdown.complete"})
            else:
                await self._server_send({"type": f"{phase}.complete"})

    async def _receive(self) -> Message:
        message = await self._server_receive()
        self._phase = message["type"]
        return message

    async def _send(self, message: Message) -> None:
        self._has_answered = True
        if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await self._mesh.aclose()
        await self._server_send(message)


class _Responder:
    """One request for a virtual host."""

    def __init__(
        self,
        middleware: LLMMeshMiddleware,
        mesh: Mesh,
        host: VirtualHost,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._middleware = middleware
        self._mesh = mesh
        self._host = host
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_started = False

    async def respond(self, path: str, hosts: list[bytes], authority: bytes | None) -> None:
        """Answer, or fall silent if the client goes away."""
        try:
            request = await self._admit(path, hosts, authority)
            with Interrupt() as interrupt:
                watch = asyncio.create_task(self._watch(interrupt))
                self._middleware._interrupts.add(interrupt)
                try:
                    await self._serve(request, interrupt)
                finally:
                    self._middleware._interrupts.discard(interrupt)
                    watch.cancel()
        except AnswerableError as error:
            await self._send_error(error)
        except (ClientDisconnected, OSError):  # OSError: `send` to a client that is gone (ASGI 2.4)
            return

    async def _serve(self, request: ClientRequest, interrupt: Interrupt) -> None:
        interval_s = self._mesh.settings.sse_keepalive
        opening = self._mesh.asend(self._host, request)
        if interval_s:
            show_life = functools.partial(self._show_life, request)
            delivery = await open_kept_alive(opening, interval_s, show_life)
        else:
            delivery = await opening
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
        scope = self._scope
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
            authorizer = self._middleware.authorizer(scope)
            consumer = self._mesh.access.admit(request.peer, request.headers, authorizer)
            check_body(request.headers, self._mesh.settings.max_request_bytes)
            request.body = await self._read_in_time()
        except AnswerableError as error:
            self._mesh.refuse(self._host, request, error)
            raise
        request.attributes = self._middleware.attributes_of(scope, consumer)
        return request

    async def _read_in_time(self) -> bytes:
        with Interrupt() as interrupt:
            timeout_s = self._mesh.settings.request_timeout
            limit = asyncio.get_running_loop().call_later(timeout_s, _give_up, interrupt)
            try:
                return await self._read_body()
            finally:
                limit.cancel()

    async def _read_body(self) -> bytes:
        """The whole body; the time limit is on all of it, so a dripped one ends too."""
        max_bytes = self._mesh.settings.max_request_bytes
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected(_GONE)
            data = message.get("body", b"")
            size += len(data)
            if size > max_bytes:
                raise too_large(max_bytes)
            chunks.append(data)
            if not message.get("more_body", False):
                return b"".join(chunks) if len(chunks) > 1 else data

    async def _watch(self, interrupt: Interrupt) -> None:
        """After the body, the only thing left to receive is that the client is gone."""
        with contextlib.suppress(OSError):
            while (await self._receive())["type"] != "http.disconnect":
                pass
        interrupt.fire(ClientDisconnected(_GONE))

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


def _give_up(interrupt: Interrupt) -> None:
    message = "the body did not arrive in time"
    interrupt.fire(RequestTimeout(message, headers={"connection": "close"}))


def _without_root(scope: Scope) -> str:
    """The path below the mount point; servers put `root_path` before an absolute target too."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def _encoded(headers: Mapping[str, str], http_version: str) -> Iterable[tuple[bytes, bytes]]:
    """Header fields for ASGI; `connection` exists in HTTP/1 only (RFC 9113 8.2.2)."""
    for name, value in headers.items():
        if name != "connection" or http_version.startswith("1"):
            yield name.encode("latin-1"), value.encode("latin-1")
