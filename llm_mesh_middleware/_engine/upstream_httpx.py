"""Upstream calls on any asynchronous httpx transport: own, mock, instrumented or proxied."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import httpx

from .._core.messages import Deadline, UpstreamRequest
from .._core.upstream import Endpoint, TLSFiles
from ..exceptions import UpstreamError, UpstreamProtocolError
from .tls import TLSContexts
from .upstream import connect_failure, env_proxy, response_head, torn

__all__ = ["HttpxUpstreamClient", "is_instrumented"]

_NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)

_TLS_REASON = "its certificate is not valid for it, or not trusted, or the TLS handshake failed"


def is_instrumented(transport: httpx.AsyncBaseTransport | None) -> bool:
    """Whether OpenTelemetry's instrumentation makes a span of each call on `transport`.

    It puts a wrapper around the method of httpx's own transport, or is a transport itself.
    """
    kind = httpx.AsyncHTTPTransport if transport is None else type(transport)
    if kind.__module__.startswith("opentelemetry."):
        return True
    return hasattr(kind.handle_async_request, "__wrapped__")


class HttpxUpstreamClient:
    """One transport per TLS identity, or the single transport that the owner has given.

    httpx keys its connections by address alone: two providers behind one address must not share
    them, or the second would be spoken to under the first one's certificate.
    """

    def __init__(
        self,
        contexts: TLSContexts,
        *,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        self._given = transport
        self._transports: dict[tuple[TLSFiles, str, str | None], httpx.AsyncHTTPTransport] = {}

    async def open(self, request: UpstreamRequest) -> HttpxUpstreamResponse:
        """Send `request`; see `AsyncUpstreamClient`."""
        endpoint = request.endpoint
        extensions = {
            "timeout": {
                "connect": request.connect_timeout_s,
                "read": None,
                "write": None,
                "pool": None,
            },
            "sni_hostname": endpoint.server_name,
            "trace": (handshake := _Handshake()).trace,
        }
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        httpx_request = httpx.Request(
            request.method,
            f"{endpoint.scheme}://{host}:{endpoint.port}{request.target}",
            headers=list(request.headers),
            content=request.body or None,
            extensions=extensions,
        )
        try:
            response = await self._transport(endpoint).handle_async_request(httpx_request)
        except (httpx.TransportError, OSError) as exc:
            raise _map(exc, request) from exc
        except asyncio.CancelledError:
            await handshake.aclose()
            raise
        try:
            return HttpxUpstreamResponse(response, endpoint.provider_host)
        except UpstreamError:
            await response.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connections that were opened here; a given transport is its owner's."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    def _transport(self, endpoint: Endpoint) -> httpx.AsyncBaseTransport:
        if self._given is not None:
            return self._given
        proxy = env_proxy(endpoint) if self._trust_env else None
        identity = (endpoint.tls, endpoint.server_name, proxy)
        transport = self._transports.get(identity)
        if transport is None:
            transport = self._transports[identity] = httpx.AsyncHTTPTransport(
                verify=self._contexts.get(endpoint.tls),
                trust_env=False,
                limits=_NO_LIMITS,
                proxy=proxy,
            )
        return transport


class _Handshake:
    """Watches a connection until TLS is up: httpcore leaves it open if it is cancelled in there."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream: Any = None  # a network stream of httpcore's

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore tells of each of its steps."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


class HttpxUpstreamResponse:
    """An answer on its httpx response; the bytes are the network's, never decoded."""

    __slots__ = ("_chunks", "_host", "_response", "head")

    def __init__(self, response: httpx.Response, host: str) -> None:
        self._response = response
        self._host = host
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport answered with a synchronous stream")
        self._chunks: AsyncIterator[bytes] = response.stream.__aiter__()
        self.head = response_head(host, response.status_code, response.headers.raw)

    async def read(self) -> bytes:
        """The next bytes; see `AsyncUpstreamResponse`."""
        try:
            async for chunk in self._chunks:
                if chunk:
                    return chunk
        except (httpx.TransportError, OSError) as exc:
            raise torn(self._host) from exc
        return b""

    async def aclose(self) -> None:
        """Close; httpcore keeps the connection if the body was read to its end."""
        if isinstance(self._chunks, AsyncGenerator):  # else a task of the collector would do it
            await self._chunks.aclose()
        await self._response.aclose()


# Most specific first.
_MAPPING: tuple[tuple[type[Exception], Callable[[str], UpstreamError]], ...] = (
    (httpx.ProxyError, lambda host: connect_failure(host, "the proxy refused the connection")),
    (httpx.ConnectError, lambda host: connect_failure(host, "the connection was refused")),
    (httpx.ReadError, lambda host: connect_failure(host, "the connection was reset")),
    (httpx.WriteError, lambda host: connect_failure(host, "the connection was reset")),
    (
        httpx.RemoteProtocolError,
        lambda host: UpstreamProtocolError(f"{host} answered something that is not HTTP"),
    ),
    (httpx.TransportError, lambda host: connect_failure(host, "the connection was lost")),
)


def _map(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    host = request.endpoint.provider_host
    if isinstance(exc, httpx.ConnectTimeout):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    causes = list(_causes(exc))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return connect_failure(host, "the name cannot be resolved")
    if isinstance(exc, httpx.ConnectError) and any(isinstance(c, ssl.SSLError) for c in causes):
        return connect_failure(host, _TLS_REASON)
    if isinstance(exc, httpx.RemoteProtocolError) and "disconnected" in str(exc):
        return connect_failure(host, "the connection was closed before an answer")
    for kind, error in _MAPPING:
        if isinstance(exc, kind):
            return error(host)
    return connect_failure(host, "the TLS files for it cannot be used")


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """What lies beneath `exc`: httpx and httpcore each wrap what asyncio raised."""
    while exc is not None:
        exc = exc.__cause__ or exc.__context__
        if exc is not None:
            yield exc
