"""Synchronous upstream calls: on httpcore, or on an httpx transport that is more than that."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import httpcore
import httpx

from .._core.messages import ResponseHead, UpstreamRequest
from .._core.upstream import Endpoint
from ..exceptions import UpstreamError
from .connections import Connections
from .httpx_calls import (
    NO_LIMITS,
    is_unused,
    make_core_request,
    make_request,
    map_error,
    origin_of,
)
from .line import Line, LineBackend
from .tls import TLSContexts
from .upstream import STALE_S, env_proxy, response_head, torn

__all__ = ["SyncHttpxUpstreamClient"]

# What a kept connection that the provider was closing fails with.
_STALE_ERRORS = (
    httpcore.ReadError,
    httpcore.WriteError,
    httpcore.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
_LATE = (httpcore.ReadTimeout, httpcore.WriteTimeout, httpx.ReadTimeout, httpx.WriteTimeout)
# Whatever else httpcore raises, under its own names and under httpx's.
_BROKEN = (
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


class SyncHttpxUpstreamClient:
    """Own connections to each endpoint, or the single transport that the owner has given.

    Own calls are made on httpcore, which httpx itself is built on: its requests and responses take
    longer than all that the mesh does. Only a proxy, or a process whose httpx is instrumented, has
    an httpx transport for each TLS identity; `HttpxUpstreamClient` says why. Threads may share it.
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
        self._connections: dict[_Place, Connections] = {}

    def open(self, request: UpstreamRequest, until: float, line: Line) -> SyncHttpxUpstreamResponse:
        """Send `request`; see `UpstreamClient`.

        A kept connection that the provider was closing when the request came is replaced, once.
        """
        sent_at = time.monotonic()
        line.is_fresh = False  # the last call of the same exchange may have opened one
        try:
            try:
                response = self._send(request, until, line)
            except _STALE_ERRORS:
                is_kept = self._given is None and not line.is_fresh
                if not is_kept or time.monotonic() - sent_at >= STALE_S:
                    raise
                response = self._send(request, until, line)
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            raise map_error(exc, request) from exc
        host = request.endpoint.provider_host
        status, fields, stream = response
        try:
            head = response_head(host, status, fields)
        except UpstreamError:
            stream.close()
            raise
        return SyncHttpxUpstreamResponse(head, stream, host, line)

    def close(self) -> None:
        """Close the connections that were opened here; a given transport is its owner's."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()
        pools, self._connections = self._connections, {}
        for pool in pools.values():
            pool.close()

    def _send(self, request: UpstreamRequest, until: float, line: Line) -> _Answer:
        line.hold(until, request.connect_timeout_s)
        try:
            if self._given is not None:
                # It knows nothing of lines; its reads are at least limited one by one.
                read_s = max(until - time.monotonic(), 0.001)
                return _answer(self._given, make_request(request, read_s=read_s))
            proxy = env_proxy(request.endpoint) if self._trust_env else None
            is_instrumented = hasattr(httpx.HTTPTransport.handle_request, "__wrapped__")
            if proxy is not None or is_instrumented:
                transport = self._transport(request.endpoint, proxy)
                return _answer(transport, make_request(request))
            core_request = make_core_request(request)
            response, stream = self._connect(request.endpoint).open(core_request)
            return response.status, response.headers, stream
        finally:
            line.let_go()

    def _connect(self, endpoint: Endpoint) -> Connections:
        context = self._contexts.get(endpoint.tls) if endpoint.scheme == "https" else None
        place = (context, endpoint)
        connections = self._connections.get(place)
        if connections is None:
            self._close_outdated()
            made = Connections(origin_of(endpoint), context)
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
            made._pool._network_backend = LineBackend(made._pool._network_backend)  # type: ignore[assignment]
            transport = self._transports.setdefault(identity, made)
        return transport


# Status, fields, and a stream that is iterated and closed.
_Answer = tuple[int, Sequence[tuple[bytes, bytes]], Any]


def _answer(transport: httpx.BaseTransport, request: httpx.Request) -> _Answer:
    response = transport.handle_request(request)
    if not isinstance(response.stream, httpx.SyncByteStream):
        raise TypeError("the transport answered with an asynchronous stream")
    return response.status_code, response.headers.raw, response.stream


class SyncHttpxUpstreamResponse:
    """An answer and the stream of its body; the bytes are the network's, never decoded."""

    __slots__ = ("_chunks", "_host", "_line", "_stream", "head")

    def __init__(self, head: ResponseHead, stream: Any, host: str, line: Line) -> None:
        self.head = head
        self._stream = stream
        self._host = host
        self._line = line
        self._chunks: Iterator[bytes] = iter(stream)

    def read(self, until: float) -> bytes:
        """The next bytes; see `UpstreamResponse`."""
        self._line.hold(until)
        try:
            data = next(filter(None, self._chunks), b"")
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            self._line.check()
            raise torn(self._host) from exc
        finally:
            self._line.let_go()
        if not data:
            self._line.check()
        return data

    def close(self) -> None:
        """Close; httpcore keeps the connection if the body was read to its end."""
        with contextlib.suppress(*_BROKEN):
            self._stream.close()
