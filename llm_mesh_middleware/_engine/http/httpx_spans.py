"""Run the mesh's own calls under OpenTelemetry's httpx instrumentation.

The instrumentation wraps `handle_request` of httpx's transports: it makes a span, adds the fields
of the propagators to the request, and looks at the response's head and at what is raised. It is
given a transport without connections, whose pool makes the mesh's own call:

    traced -> [instrumentation] -> httpx.HTTPTransport.handle_request -> _Pool -> send
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from ..._core.values.messages import ResponseHead, UpstreamRequest

if TYPE_CHECKING:
    import httpx

__all__ = ["atraced", "is_instrumented", "make_request", "traced"]

_METHODS = (("AsyncHTTPTransport", "handle_async_request"), ("HTTPTransport", "handle_request"))

# httpx adds these by default; the mesh sets its own.
_FRAMING = (b"content-length", b"transfer-encoding")


class _Response(Protocol):
    head: ResponseHead


Response = TypeVar("Response", bound=_Response)


def is_instrumented() -> bool:
    """Return whether the transports of httpx are instrumented, without importing httpx."""
    httpx = sys.modules.get("httpx")
    if httpx is None:
        return False
    for kind, method in _METHODS:
        if hasattr(getattr(getattr(httpx, kind, None), method, None), "__wrapped__"):
            return True
    return False


def traced(send: Callable[[UpstreamRequest], Response], request: UpstreamRequest) -> Response:
    """Call `send` with `request` inside the instrumentation's span.

    Raises:
        Exception: what `send` raises.
    """
    import httpx

    pool = _Pool(send, request)
    transport = httpx.HTTPTransport.__new__(httpx.HTTPTransport)
    transport._pool = pool  # type: ignore[assignment]
    try:
        transport.handle_request(make_request(request))
    except BaseException:  # possibly raised by a hook, after the response
        if pool.response is not None:
            pool.response.close()
        raise
    return pool.response  # type: ignore[no-any-return]


async def atraced(
    send: Callable[[UpstreamRequest], Awaitable[Response]], request: UpstreamRequest
) -> Response:
    """Call `send` like `traced`, in an event loop."""
    import httpx

    pool = _AsyncPool(send, request)
    transport = httpx.AsyncHTTPTransport.__new__(httpx.AsyncHTTPTransport)
    transport._pool = pool  # type: ignore[assignment]
    try:
        await transport.handle_async_request(make_request(request))
    except BaseException:
        if pool.response is not None:
            await pool.response.aclose()
        raise
    return pool.response  # type: ignore[no-any-return]


def make_request(
    request: UpstreamRequest, extensions: dict[str, Any] | None = None
) -> httpx.Request:
    """Return `request` as httpx takes it."""
    import httpx

    endpoint = request.endpoint
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return httpx.Request(
        request.method,
        f"{endpoint.scheme}://{host}:{endpoint.port}{request.target}",
        headers=list(request.headers),
        content=request.body or None,
        extensions=extensions,
    )


class _Pool:
    """The connection pool as httpx sees it."""

    response: Any = None

    def __init__(self, send: Callable[[UpstreamRequest], Any], request: UpstreamRequest) -> None:
        self._send = send
        self._request = request

    def handle_request(self, traced: Any) -> Any:
        self.response = self._send(_with_fields(self._request, traced.headers))
        return _shown(self.response.head)


class _AsyncPool(_Pool):
    async def handle_async_request(self, traced: Any) -> Any:
        self.response = await self._send(_with_fields(self._request, traced.headers))
        return _shown(self.response.head)


def _with_fields(request: UpstreamRequest, fields: list[tuple[bytes, bytes]]) -> UpstreamRequest:
    kept = tuple((name.lower(), value) for name, value in fields)
    headers = tuple(field for field in kept if field[0] not in _FRAMING)
    return msgspec.structs.replace(request, headers=headers)


def _shown(head: ResponseHead) -> Any:
    """Return an httpcore response without a body: the instrumentation reads none."""
    import httpcore

    headers = list(head.headers)
    extensions = {"http_version": b"HTTP/1.1"}
    return httpcore.Response(head.status, headers=headers, content=b"", extensions=extensions)
