"""Upstream calls from an event loop on the mesh's own connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from weakref import WeakSet

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import Deadline, UpstreamRequest
from ...exceptions import UpstreamError, UpstreamProtocolError
from ..tls import TLSContexts
from .async_connection import AsyncConnection, AsyncDestination
from .dialling import AsyncConnector, NotConnected
from .http1 import NoResponse, NotHTTP, ResponseReader
from .httpx_spans import atraced, is_instrumented
from .pool import KEEPALIVE_S
from .protocols import (
    STALE_S,
    connect_failure,
    response_head,
    torn,
)
from .proxy import env_proxy

__all__ = ["AsyncPooledClient"]

_MAX_DESTINATIONS = 256
_CLOSING_S = 1.0

# The errors of a reused connection that the provider was closing.
_STALE_ERRORS = (NoResponse, ConnectionResetError)
_FAULTS = (NotConnected, NotHTTP, OSError)

# For connections that were established.
_LOSSES: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionResetError, "the connection was reset"),
    (NoResponse, "the connection was closed before an answer"),
)


class AsyncPooledClient:
    """A pool of connections for each destination, for one event loop."""

    def __init__(
        self, contexts: TLSContexts, *, trust_env: bool = False, has_httpx_spans: bool = False
    ) -> None:
        """Create the client without opening connections.

        Args:
            contexts: the TLS contexts of the mesh.
            trust_env: use the proxies that the environment names.
            has_httpx_spans: show calls to OpenTelemetry's instrumentation of httpx, if it is on.
        """
        self._contexts = contexts
        self._trust_env = trust_env
        self._has_httpx_spans = has_httpx_spans
        self._loop = asyncio.get_running_loop()
        self._connector = AsyncConnector()
        self._destinations: dict[tuple[object, ...], AsyncDestination] = {}
        # The same by the objects of a routing table, which are kept, so that no others get their
        # ids: hashing an endpoint takes longer.
        self._known: dict[int, tuple[AsyncDestination, Endpoint]] = {}
        # An open connection is referenced by its transport.
        self._connections: WeakSet[AsyncConnection] = WeakSet()
        self._sweep: asyncio.TimerHandle | None = None

    def open(self, request: UpstreamRequest) -> Coroutine[Any, Any, AsyncPooledResponse]:
        """Send `request`; see `AsyncUpstreamClient`."""
        if self._has_httpx_spans and is_instrumented():
            return atraced(self._send, request)
        return self._send(request)

    async def _send(self, request: UpstreamRequest) -> AsyncPooledResponse:
        """Make a call; replace a reused connection that the provider was closing by a new one.

        A provider that restarts closes all of them.
        """
        has_replaced = False
        while True:
            kept = connection = None
            began_at = self._loop.time()
            try:
                destination = self._destination(request.endpoint)
                head = destination.head(request)
                kept = None if has_replaced else destination.pool.take()
                connection = kept or await self._connect(destination, request.connect_timeout_s)
                connection.send(head, request.body)
                answer = ResponseReader()
                rest = None
                while rest is None:
                    data = await connection.more()
                    rest = answer.feed_head(connection.received() or b"" if data is None else data)
                host = request.endpoint.provider_host
                return AsyncPooledResponse(self, destination, connection, answer, rest, host)
            except BaseException as exc:
                if connection is not None:
                    connection.abort()
                is_stale = kept is not None and self._loop.time() - began_at < STALE_S
                has_replaced = is_stale and isinstance(exc, _STALE_ERRORS)
                if has_replaced:
                    continue
                if isinstance(exc, _FAULTS):
                    raise _map(exc, request) from exc
                raise

    async def _connect(self, destination: AsyncDestination, connect_s: float) -> AsyncConnection:
        connection = await self._connector.open(destination, connect_s)
        self._connections.add(connection)
        return connection

    def keep(self, connection: AsyncConnection, destination: AsyncDestination) -> None:
        """Keep a connection for the next call to `destination`."""
        destination.pool.give_back(connection)
        if self._sweep is None and destination.pool:  # otherwise it is closed already
            self._sweep = self._loop.call_later(KEEPALIVE_S, self._drop_old)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for destination in self._destinations.values():
            destination.pool.close()
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait(
                [connection.closed() for connection in connections], timeout=_CLOSING_S
            )
        for connection in connections:
            connection.abort()
        await self._connector.aclose()

    def _destination(self, endpoint: Endpoint) -> AsyncDestination:
        context = self._contexts.get(endpoint.tls) if endpoint.scheme == "https" else None
        known = self._known.get(id(endpoint))
        if known is not None and known[0].context is context:
            return known[0]
        proxy = env_proxy(endpoint) if self._trust_env else None
        key = (endpoint, context, proxy)
        found = self._destinations.get(key)
        if found is None:
            self._close_outdated()
            found = self._destinations[key] = AsyncDestination(endpoint, context, proxy)
        if not self._trust_env:  # the environment may change
            if len(self._known) >= _MAX_DESTINATIONS:
                self._known = {}
            self._known[id(endpoint)] = found, endpoint
        return found

    def _close_outdated(self) -> None:
        """Close the idle connections that use certificates from before a reload.

        Those to endpoints removed by a reload soon exceed their idle time.
        """
        self._known = {}
        for key, destination in list(self._destinations.items()):
            context = destination.context
            is_outdated = context is not None and not self._contexts.uses(context)
            if is_outdated or len(self._destinations) >= _MAX_DESTINATIONS:
                del self._destinations[key]
                destination.pool.close()

    def _drop_old(self) -> None:
        """Close the connections that exceeded their idle time."""
        self._sweep = None
        pools = [destination.pool for destination in self._destinations.values()]
        for pool in pools:
            pool.drop_old()
        if any(pools):
            self._sweep = self._loop.call_later(KEEPALIVE_S, self._drop_old)


class AsyncPooledResponse:
    """A response whose head has arrived, and the connection for the rest."""

    __slots__ = (
        *("_answer", "_begun", "_client", "_connection", "_destination", "_host", "_take"),
        *("head", "is_released"),
    )

    def __init__(
        self,
        client: AsyncPooledClient,
        destination: AsyncDestination,
        connection: AsyncConnection,
        answer: ResponseReader,
        rest: bytes,
        host: str,
    ) -> None:
        """Create a response; `rest` is the part of the body that arrived with the head.

        If that is all of it, the connection is free for the next call at once.

        Raises:
            UpstreamProtocolError: the head is invalid.
        """
        try:
            self._begun = begun = answer.feed(rest) if rest else b""
        except NotHTTP:
            self._begun = begun = b""  # `answer` keeps the error, which `read` raises
        is_whole = answer.is_over and answer.error is None
        self.head = response_head(
            host,
            answer.status,
            answer.headers,
            answer.is_clean,
            begun if is_whole else None,
        )
        self._answer = answer
        self._connection: AsyncConnection | None = None
        self.is_released = is_whole and answer.keeps and connection.is_sent()
        if self.is_released:
            client.keep(connection, destination)
            return
        self._connection = connection
        self._client = client
        self._destination = destination
        self._host = host

    def read(self) -> bytes | Awaitable[bytes]:
        """Return the next bytes; see `AsyncUpstreamResponse`."""
        if begun := self._begun:
            self._begun = b""
            return begun
        answer = self._answer
        return b"" if answer.is_over and answer.error is None else self._received()

    def tap(self, take: Callable[[bytes], object] | None) -> bool:
        """Give what comes from now on to `take`; see `AsyncUpstreamResponse`."""
        connection = self._connection
        if take is None:
            self._take = None
            return connection is not None and connection.tap(None)
        if connection is None or self._begun or self._answer.is_over:
            return False
        if not connection.tap(self._arrived):
            return False
        self._take = take  # not before: its owner holds this response, which would be a cycle
        return True

    def _arrived(self, received: bytes) -> None:
        """Give the part of the body in what has come; called by the connection."""
        answer, data = self._answer, b""
        if received:
            try:
                data = answer.feed(received)
            except NotHTTP:  # reading it raises this again
                pass
            else:
                if not data and not answer.is_over:
                    return
        self._take(data)  # type: ignore[misc]  # it is tapped
        if data and answer.is_over and self._take is not None:
            self._take(b"")

    async def _received(self) -> bytes:
        answer, connection = self._answer, self._connection
        try:
            while connection is not None and not answer.is_over:
                while (received := connection.received()) is None:
                    if (received := await connection.more()) is not None:
                        break
                if data := answer.feed(received):
                    return data
            if answer.error is not None:
                raise answer.error
        except (NotHTTP, OSError) as exc:
            raise torn(self._host) from exc
        return b""

    async def aclose(self) -> None:
        """Keep the connection if the body is complete; see `AsyncUpstreamResponse`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not (self._answer.is_over and connection.is_sent()):
            connection.abort()
        elif self._answer.keeps:
            self._client.keep(connection, self._destination)
        else:
            connection.close()


def _map(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    host = request.endpoint.provider_host
    if isinstance(exc, TimeoutError):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    if isinstance(exc, NotConnected):
        return connect_failure(host, str(exc), has_connected=exc.has_connected)
    for kind, reason in _LOSSES:
        if isinstance(exc, kind):
            return connect_failure(host, reason, has_connected=True)
    if isinstance(exc, NotHTTP):
        return UpstreamProtocolError(f"{host} answered something that is not HTTP: {exc}")
    # Otherwise the cause is local: a CA or certificate file that cannot be used.
    reason = exc.strerror or type(exc).__name__ if isinstance(exc, OSError | ssl.SSLError) else ""
    return connect_failure(host, f"the TLS files for it cannot be used ({reason})")
