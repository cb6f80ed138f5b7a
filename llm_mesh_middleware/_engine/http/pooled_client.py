"""Synchronous upstream calls on the mesh's own connections."""

from __future__ import annotations

import socket
import time

import httpcore

from ..._core.values.endpoint import Endpoint, TLSFiles
from ..._core.values.messages import Deadline, UpstreamRequest
from ...exceptions import UpstreamError, UpstreamProtocolError
from ..tasks.cancel_scope import CancelScope
from ..tls import TLSContexts
from .connection import Connection, Destination, ProxyRefused, TLSFailed
from .http1 import NoResponse, NotHTTP, ResponseReader
from .httpx_spans import is_instrumented, traced
from .protocols import (
    STALE_S,
    causes,
    connect_failure,
    response_head,
    torn,
)
from .proxy import Proxy, env_proxy

__all__ = ["PooledClient", "PooledResponse"]

# The errors of a reused connection that the provider was closing.
_STALE_ERRORS = (NotHTTP, httpcore.ReadError)
_BROKEN = (
    NotHTTP, ProxyRefused, TLSFailed, httpcore.NetworkError, httpcore.TimeoutException, OSError
)  # fmt: skip

_Kinds = type[Exception] | tuple[type[Exception], ...]

# Most specific first.
_REASONS: tuple[tuple[_Kinds, str], ...] = (
    (httpcore.ConnectError, "the connection was refused"),
    (httpcore.ReadError, "the connection was reset"),
    (NoResponse, "the connection was closed before an answer"),
    (httpcore.NetworkError, "the connection was lost"),
)


class PooledClient:
    """A pool of connections for each destination; threads share it.

    httpx and its pool are not used: they take longer than everything else in a call, and httpx
    reuses a connection that has unread bytes.
    """

    def __init__(self, contexts: TLSContexts, *, trust_env: bool = False) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        self._destinations: dict[tuple[object, ...], Destination] = {}
        self._is_closed = False

    def open(self, request: UpstreamRequest, until: float, scope: CancelScope) -> PooledResponse:
        """Send `request`; see `UpstreamClient`."""

        def send(request: UpstreamRequest) -> PooledResponse:
            scope.set_deadline(until, request.connect_timeout_s)
            try:
                return self._open(request, scope)
            except TimeoutError:
                raise
            except _BROKEN as exc:
                raise _map(exc, request) from exc

        if is_instrumented():
            return traced(send, request)
        return send(request)

    def close(self) -> None:
        """Close idle connections now, and used ones when their call ends.

        Threads in the background may still open calls; their connections are not kept.
        """
        self._is_closed = True
        destinations, self._destinations = self._destinations, {}
        for destination in destinations.values():
            destination.pool.close()

    def _open(self, request: UpstreamRequest, scope: CancelScope) -> PooledResponse:
        """Open a call; replace a reused connection that the provider was closing by a new one.

        A provider that restarts closes all of them.
        """
        destination = self._destination(request.endpoint)
        head = destination.head(request)
        sent_at = time.monotonic()
        kept = destination.pool.take()
        try:
            return self._send(request, head, destination, kept, scope)
        except _STALE_ERRORS:
            if kept is None or time.monotonic() - sent_at >= STALE_S:
                raise
            return self._send(request, head, destination, None, scope)

    def _send(
        self,
        request: UpstreamRequest,
        head: bytes,
        destination: Destination,
        kept: Connection | None,
        scope: CancelScope,
    ) -> PooledResponse:
        connection = kept or Connection(destination, scope)
        try:
            is_sent = connection.send(head, request.body, scope)
            answer = ResponseReader()
            while (rest := answer.feed_head(connection.receive(scope))) is None:
                pass
            answer.keeps = answer.keeps and is_sent
            host = request.endpoint.provider_host
            return PooledResponse(destination, connection, answer, rest, host, scope)
        except BaseException:
            connection.close()
            raise

    def _destination(self, endpoint: Endpoint) -> Destination:
        context = self._contexts.get(endpoint.tls) if endpoint.scheme == "https" else None
        url = env_proxy(endpoint) if self._trust_env else None
        key = (endpoint, context, url)
        found = self._destinations.get(key)
        if found is None:
            self._close_outdated()
            proxy = Proxy.parse(url, endpoint) if url is not None else None
            is_tls = proxy is not None and proxy.is_tls
            proxy_context = self._contexts.get(TLSFiles()) if is_tls else None
            made = Destination(endpoint, context, proxy, proxy_context)
            if self._is_closed:
                made.pool.close()
            found = self._destinations.setdefault(key, made)
        return found

    def _close_outdated(self) -> None:
        """Close the connections that use certificates from before a reload."""
        for key, destination in list(self._destinations.items()):
            context = destination.context
            is_outdated = context is not None and not self._contexts.uses(context)
            if is_outdated and self._destinations.pop(key, None) is not None:
                destination.pool.close()


class PooledResponse:
    """A response whose head has arrived, and the connection for the rest."""

    __slots__ = ("_answer", "_begun", "_connection", "_destination", "_host", "_scope", "head")

    def __init__(
        self,
        destination: Destination,
        connection: Connection,
        answer: ResponseReader,
        rest: bytes,
        host: str,
        scope: CancelScope,
    ) -> None:
        """Create a response; `rest` is the part of the body that arrived with the head.

        Raises:
            UpstreamProtocolError: the head is invalid.
        """
        try:
            self._begun = begun = answer.feed(rest) if rest else b""
        except NotHTTP:
            self._begun = begun = b""  # `answer` keeps the error, which `read` raises
        self.head = response_head(
            host,
            answer.status,
            answer.headers,
            answer.is_clean,
            begun if answer.is_over and answer.error is None else None,
        )
        self._destination = destination
        self._connection: Connection | None = connection
        self._answer = answer
        self._host = host
        self._scope = scope

    def read(self, until: float) -> bytes:
        """Return the next bytes; see `UpstreamResponse`."""
        if begun := self._begun:
            self._begun = b""
            return begun
        answer, connection, scope = self._answer, self._connection, self._scope
        scope.set_deadline(until)
        try:
            while connection is not None and not answer.is_over:
                if data := answer.feed(connection.receive(scope)):
                    return data
            if answer.error is not None:
                raise answer.error
        except TimeoutError:
            raise
        except _BROKEN as exc:
            scope.check()
            raise torn(self._host) from exc
        scope.check()
        return b""

    def close(self) -> None:
        """Keep the connection if the body is complete, else close it; see `UpstreamResponse`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._answer.is_over and self._answer.keeps:
            self._destination.pool.give_back(connection)
        else:
            connection.close()


def _map(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    host = request.endpoint.provider_host
    if isinstance(exc, httpcore.ConnectTimeout):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    if isinstance(exc, ProxyRefused | TLSFailed):
        return connect_failure(host, str(exc))
    if any(isinstance(cause, socket.gaierror) for cause in causes(exc)):
        return connect_failure(host, "the name cannot be resolved")
    for kinds, reason in _REASONS:
        if isinstance(exc, kinds):
            has_connected = not isinstance(exc, httpcore.ConnectError)
            return connect_failure(host, reason, has_connected=has_connected)
    if isinstance(exc, NotHTTP):
        return UpstreamProtocolError(f"{host} answered something that is not HTTP: {exc}")
    # Otherwise the cause is local: a CA or certificate file that cannot be used.
    return connect_failure(host, "the TLS files for it cannot be used")
