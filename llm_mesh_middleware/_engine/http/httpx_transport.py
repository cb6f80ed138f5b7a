"""What calls on httpx have in common, synchronous or not: the request, and what its errors mean."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx

from ..._core.values.messages import Deadline, UpstreamRequest
from ...exceptions import UpstreamError, UpstreamProtocolError
from .http1 import NoResponse, NotHTTP
from .protocols import connect_failure

__all__ = [
    "NO_LIMITS",
    "fields_of",
    "is_instrumented",
    "is_unused",
    "make_request",
    "map_error",
]

NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)

_TLS_REASON = "its certificate is not valid for it, or not trusted, or the TLS handshake failed"


def is_instrumented(transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None) -> bool:
    """Whether OpenTelemetry's instrumentation makes a span of each call on `transport`.

    It puts a wrapper around the method of httpx's own transports, or is a transport itself.
    """
    kind = httpx.AsyncHTTPTransport if transport is None else type(transport)
    if kind.__module__.startswith("opentelemetry."):
        return True
    names = ("handle_async_request", "handle_request")
    return any(hasattr(getattr(kind, name, None), "__wrapped__") for name in names)


def is_unused(transport: httpx.AsyncHTTPTransport | httpx.HTTPTransport) -> bool:
    """Whether no call is under way on any connection of httpx's own transport."""
    # The pool is httpcore's, and to be asked there; httpx does not show it.
    return all(each.is_idle() or each.is_closed() for each in transport._pool.connections)


def make_request(
    request: UpstreamRequest,
    *,
    read_s: float | None = None,
    trace: Callable[..., Any] | None = None,
) -> httpx.Request:
    """`request` as httpx takes it; `read_s` limits each single read, `trace` is told of steps."""
    endpoint = request.endpoint
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    extensions: dict[str, Any] = {
        "timeout": {
            "connect": request.connect_timeout_s,
            "read": read_s,
            "write": read_s,
            "pool": None,
        },
        "sni_hostname": endpoint.server_name,
    }
    if trace is not None:
        extensions["trace"] = trace
    return httpx.Request(
        request.method,
        f"{endpoint.scheme}://{host}:{endpoint.port}{request.target}",
        headers=list(request.headers),
        content=request.body or None,
        extensions=extensions,
    )


def fields_of(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The answer's fields, their names in lower case."""
    return [(name.lower(), value) for name, value in response.headers.raw]


_Kinds = tuple[type[Exception], ...]

# Most specific first.
_MAPPING: tuple[tuple[_Kinds, Callable[[str], UpstreamError]], ...] = (
    (
        (httpx.ProxyError, httpcore.ProxyError),
        lambda host: connect_failure(host, "the proxy refused the connection"),
    ),
    (
        (httpx.ConnectError, httpcore.ConnectError),
        lambda host: connect_failure(host, "the connection was refused"),
    ),
    (
        (httpx.ReadError, httpx.WriteError, httpcore.ReadError, httpcore.WriteError),
        lambda host: connect_failure(host, "the connection was reset"),
    ),
    (
        (httpx.RemoteProtocolError, NotHTTP),
        lambda host: UpstreamProtocolError(f"{host} answered something that is not HTTP"),
    ),
    (
        (httpx.TransportError, httpcore.NetworkError, httpcore.ProtocolError),
        lambda host: connect_failure(host, "the connection was lost"),
    ),
)


def map_error(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    """What `exc` means for the exchange: there was no answer, or none in HTTP."""
    host = request.endpoint.provider_host
    if isinstance(exc, httpx.ConnectTimeout | httpcore.ConnectTimeout):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    causes = list(_causes(exc))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return connect_failure(host, "the name cannot be resolved")
    is_refused = isinstance(exc, httpx.ConnectError | httpcore.ConnectError)
    if is_refused and any(isinstance(c, ssl.SSLError) for c in causes):
        return connect_failure(host, _TLS_REASON)
    is_silent = isinstance(exc, httpx.RemoteProtocolError) and "disconnected" in str(exc)
    if is_silent or isinstance(exc, NoResponse):
        return connect_failure(host, "the connection was closed before an answer")
    for kinds, error in _MAPPING:
        if isinstance(exc, kinds):
            return error(host)
    return connect_failure(host, "the TLS files for it cannot be used")


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """What lies beneath `exc`: httpx and httpcore each wrap what the socket raised."""
    while exc is not None:
        exc = exc.__cause__ or exc.__context__
        if exc is not None:
            yield exc
