"""Synchronous upstream calls on an httpx transport given to `Mesh`."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx

from ..._core.values.headers import Headers
from ..._core.values.messages import Deadline, UpstreamRequest
from ...exceptions import UpstreamError, UpstreamProtocolError
from ..tasks.cancel_scope import CancelScope
from .httpx_spans import make_request
from .protocols import causes, connect_failure, response_head, torn

__all__ = ["TransportClient", "extensions_of", "has_spans", "headers_of", "map_error"]

_TLS_REASON = "its certificate is not valid for it, or not trusted, or the TLS handshake failed"
_LATE = (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)
_BROKEN = (httpx.TransportError, OSError)


class TransportClient:
    """Makes every call with the transport, which handles connections, trust and proxies.

    It does not support a `CancelScope`, but each read has a timeout.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | httpx.BaseTransport) -> None:
        if not isinstance(transport, httpx.BaseTransport):
            raise TypeError(f"{type(transport).__name__} is asynchronous: it cannot serve `send`")
        self._transport = transport

    def open(self, request: UpstreamRequest, until: float, scope: CancelScope) -> TransportResponse:
        """Send `request`; see `UpstreamClient`."""
        read_s = max(until - time.monotonic(), 0.001)
        sent = make_request(request, extensions_of(request, read_s=read_s))
        try:
            response = self._transport.handle_request(sent)
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            raise map_error(exc, request) from exc
        try:
            return TransportResponse(response, request.endpoint.provider_host, scope)
        except UpstreamError:
            response.close()
            raise

    def close(self) -> None:
        """Do nothing: the transport belongs to the application."""


class TransportResponse:
    """A response of the transport, with the undecoded bytes of the network."""

    __slots__ = ("_chunks", "_host", "_response", "_scope", "head")

    def __init__(self, response: httpx.Response, host: str, scope: CancelScope) -> None:
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("the transport answered with an asynchronous stream")
        self.head = response_head(host, response.status_code, headers_of(response))
        self._response = response
        self._chunks = filter(None, response.stream)
        self._host = host
        self._scope = scope

    def read(self, until: float) -> bytes:
        """Return the next bytes; see `UpstreamResponse`."""
        try:
            data = next(self._chunks, b"")
        except _LATE as exc:
            raise TimeoutError from exc
        except _BROKEN as exc:
            self._scope.check()
            raise torn(self._host) from exc
        if not data:
            self._scope.check()
        return data

    def close(self) -> None:
        """Close the response; the transport decides whether to keep the connection."""
        with contextlib.suppress(*_BROKEN):
            self._response.stream.close()  # type: ignore[union-attr]  # checked above


def has_spans(transport: httpx.AsyncBaseTransport | httpx.BaseTransport) -> bool:
    """Return whether OpenTelemetry's instrumentation makes a span of each call on `transport`.

    It wraps the method of httpx's own transports, or is a transport itself.
    """
    kind = type(transport)
    if kind.__module__.startswith("opentelemetry."):
        return True
    names = ("handle_async_request", "handle_request")
    return any(hasattr(getattr(kind, name, None), "__wrapped__") for name in names)


def extensions_of(
    request: UpstreamRequest,
    *,
    read_s: float | None = None,
    trace: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Return the httpx extensions for `request`.

    Args:
        request: what is sent.
        read_s: limits each single read and write.
        trace: called with the steps of the call.
    """
    extensions: dict[str, Any] = {
        "timeout": {
            "connect": request.connect_timeout_s,
            "read": read_s,
            "write": read_s,
            "pool": None,
        },
        "sni_hostname": request.endpoint.server_name,
    }
    if trace is not None:
        extensions["trace"] = trace
    return extensions


def headers_of(response: httpx.Response) -> Headers:
    """Return the response's fields, their names in lower case."""
    return Headers([(name.lower(), value) for name, value in response.headers.raw])


_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (httpx.ProxyError, "the proxy refused the connection"),
    (httpx.ConnectError, "the connection was refused"),
    ((httpx.ReadError, httpx.WriteError), "the connection was reset"),
    (httpx.TransportError, "the connection was lost"),
)


def map_error(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    """Return the exchange's error for `exc`: no response, or not an HTTP response."""
    host = request.endpoint.provider_host
    if isinstance(exc, httpx.ConnectTimeout):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    wrapped = list(causes(exc))
    if any(isinstance(cause, socket.gaierror) for cause in wrapped):
        return connect_failure(host, "the name cannot be resolved")
    if isinstance(exc, httpx.ConnectError) and any(isinstance(c, ssl.SSLError) for c in wrapped):
        return connect_failure(host, _TLS_REASON)
    if isinstance(exc, httpx.RemoteProtocolError):
        if "disconnected" in str(exc):
            reason = "the connection was closed before an answer"
            return connect_failure(host, reason, has_connected=True)
        return UpstreamProtocolError(f"{host} answered something that is not HTTP")
    for kinds, reason in _REASONS:
        if isinstance(exc, kinds):
            has_connected = not isinstance(exc, httpx.ProxyError | httpx.ConnectError)
            return connect_failure(host, reason, has_connected=has_connected)
    return connect_failure(host, "the TLS files for it cannot be used")
