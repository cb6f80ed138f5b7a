"""Synchronous upstream calls: on connections of httpcore's, or on a whole httpx transport."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import httpcore
import httpx

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import ResponseHead, UpstreamRequest
from ...exceptions import UpstreamError
from ..tasks.cancel_scope import CancelScope
from .connection import ConnectionPool
from .http1 import NotHTTP
from .httpx_transport import (
    NO_LIMITS,
    fields_of,
    is_unused,
    make_request,
    map_error,
)
from .network_backend import CancelScopeBackend, use_scope
from .protocols import STALE_S, env_proxy, response_head, torn
from .tls import TLSContexts

__all__ = ["PooledClient"]

# What a kept connection that the provider was closing fails with.
_STALE_ERRORS = (
    NotHTTP,
    httpcore.ReadError,
    httpcore.WriteError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
_LATE = (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)
# Whatever else httpcore raises, under its own names and under httpx's.
_BROKEN = (
    NotHTTP,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    httpx.TransportError,
    OSError,
)


# Whose certificates are shown and asked for: the same address may stand for several.
_Identity: TypeAlias = tuple[ssl.SSLContext, str, str | None]
_Place: TypeAlias = tuple[ssl.SSLContext | None, Endpoint]


class PooledClient:
    """Own connections to each endpoint, or the single transport that the owner has given.

    Own connections are httpcore's, which httpx itself is built on, without httpx's requests and
    responses: they take longer than all that the mesh does. Only a proxy, or a process whose httpx
    is instrumented, has an httpx transport for each TLS identity; `AsyncTransportClient` says why.
    Threads may share it.
    """

    def __init__(
        self,
        contexts: TLSContexts,
        *,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None = None,
    ) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        if transport is not None and not isinstance(transport, httpx.BaseTransport):
            raise TypeError(f"{type(transport).__name__} is asynchronous: it cannot serve `send`")
        self._given = transport
        self._transports: dict[_Identity, httpx.HTTPTransport] = {}
        self._connections: dict[_Place, ConnectionPool] = {}

    def open(self, request: UpstreamRequest, until: float, scope: CancelScope) -> PooledResponse:
        """Send `request`; see `UpstreamClient`.

        A kept connection that the provider was closing when the request came is replaced, once.
        """
        sent_at = time.monotonic()
        scope.has_connected = False  # the last call of the same exchange may have opened one
        try:
            try:
                call = self._send(request, until, scope)
            except _STALE_ERRORS:
                is_kept = self._given is None and not scope.has_connected
                if not is_kept or time.monotonic() - sent_at >= STALE_S:
                    raise
                call = self._send(request, until, scope)
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            raise map_error(exc, request) from exc
        host = request.endpoint.provider_host
        try:
            head = response_head(host, call.status, call.fields)
        except UpstreamError:
            call.close()
            raise
        return PooledResponse(head, call, host, scope)

    def close(self) -> None:
        """Close the connections that were opened here; a given transport is its owner's."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()
        pools, self._connections = self._connections, {}
        for pool in pools.values():
            pool.close()

    def _send(self, request: UpstreamRequest, until: float, scope: CancelScope) -> _Call:
        scope.set_deadline(until, request.connect_timeout_s)
        use_scope(scope)
        try:
            if self._given is not None:
                # It knows nothing of lines; its reads are at least limited one by one.
                read_s = max(until - time.monotonic(), 0.001)
                return _TransportCall(self._given, make_request(request, read_s=read_s))
            proxy = env_proxy(request.endpoint) if self._trust_env else None
            is_instrumented = hasattr(httpx.HTTPTransport.handle_request, "__wrapped__")
            if proxy is not None or is_instrumented:
                transport = self._transport(request.endpoint, proxy)
                return _TransportCall(transport, make_request(request))
            return self._connect(request.endpoint).open(request, scope)
        finally:
            use_scope(None)

    def _connect(self, endpoint: Endpoint) -> ConnectionPool:
        context = self._contexts.get(endpoint.tls) if endpoint.scheme == "https" else None
        place = (context, endpoint)
        connections = self._connections.get(place)
        if connections is None:
            self._close_outdated()
            made = ConnectionPool(endpoint, context)
            connections = self._connections.setdefault(place, made)
        return connections

    def _close_outdated(self) -> None:
        """Close what was opened with certificates of before a reload, once nothing uses it."""
        for identity, transport in list(self._transports.items()):
            is_outdated = not self._contexts.uses(identity[0]) and is_unused(transport)
            if is_outdated and self._transports.pop(identity, None) is not None:
                transport.close()
        for place, connections in list(self._connections.items()):
            is_outdated = place[0] is not None and not self._contexts.uses(place[0])
            if is_outdated and self._connections.pop(place, None) is not None:
                connections.close()

    def _transport(self, endpoint: Endpoint, proxy: str | None) -> httpx.HTTPTransport:
        context = self._contexts.get(endpoint.tls)
        identity = (context, endpoint.server_name, proxy)
        transport = self._transports.get(identity)
        if transport is None:
            self._close_outdated()
            made = httpx.HTTPTransport(
                verify=context,
                trust_env=False,
                limits=NO_LIMITS,
                proxy=proxy,
            )
            # httpx has no argument for it.
            made._pool._network_backend = CancelScopeBackend(made._pool._network_backend)  # type: ignore[assignment]
            transport = self._transports.setdefault(identity, made)
        return transport


class _Call(Protocol):
    """An answer whose head has come; `read` gives its body, empty at the end."""

    @property
    def status(self) -> int: ...
    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]: ...
    def read(self) -> bytes: ...
    def close(self) -> None: ...


class _TransportCall:
    """The same on an httpx transport."""

    def __init__(self, transport: httpx.BaseTransport, request: httpx.Request) -> None:
        response = transport.handle_request(request)
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("the transport answered with an asynchronous stream")
        self.status = response.status_code
        self.fields = fields_of(response)
        self.close = response.stream.close
        self._chunks = filter(None, response.stream)

    def read(self) -> bytes:
        return next(self._chunks, b"")


class PooledResponse:
    """An answer and its body; the bytes are the network's, never decoded."""

    __slots__ = ("_call", "_host", "_scope", "head")

    def __init__(self, head: ResponseHead, call: _Call, host: str, scope: CancelScope) -> None:
        self.head = head
        self._call = call
        self._host = host
        self._scope = scope

    def read(self, until: float) -> bytes:
        """The next bytes; see `UpstreamResponse`."""
        self._scope.set_deadline(until)
        use_scope(self._scope)
        try:
            data = self._call.read()
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            self._scope.check()
            raise torn(self._host) from exc
        finally:
            use_scope(None)
        if not data:
            self._scope.check()
        return data

    def close(self) -> None:
        """Close; the connection is kept if the body was read to its end."""
        with contextlib.suppress(*_BROKEN):
            self._call.close()
