"""Upstream calls on any asynchronous httpx transport: own, mock, instrumented or proxied."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, TypeAlias

import httpx

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ...exceptions import UpstreamError
from ..tasks.shielding import run_interruptible, run_to_completion
from .httpx_transport import NO_LIMITS, fields_of, is_unused, make_request, map_error
from .protocols import STALE_S, env_proxy, response_head, torn
from .tls import TLSContexts

__all__ = ["AsyncTransportClient"]

# Whose certificates are shown and asked for: the same address may stand for several.
_Identity: TypeAlias = tuple[ssl.SSLContext, str, str | None]


# How long a client that leaves is held up for a connection to come, so that it can be closed.
_CONNECT_GRACE_S = 0.02


class AsyncTransportClient:
    """One transport per TLS identity, or the single transport that the owner has given.

    httpx keys its connections by address alone: two providers behind one address must not share
    them, or the second would be spoken to under the first one's certificate.
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
        if transport is not None and not isinstance(transport, httpx.AsyncBaseTransport):
            raise TypeError(f"{type(transport).__name__} is synchronous: it cannot serve `asend`")
        self._given = transport
        self._transports: dict[_Identity, httpx.AsyncHTTPTransport] = {}

    async def open(self, request: UpstreamRequest) -> AsyncTransportResponse:
        """Send `request`; see `AsyncUpstreamClient`.

        A kept connection that the provider was closing when the request came is replaced, once.
        """
        clock = asyncio.get_running_loop().time
        sent_at, wire = clock(), _Wire()
        try:
            try:
                response = await self._send(request, wire)
            except (httpx.ReadError, httpx.RemoteProtocolError) as exc:
                is_stale = wire.is_reused and clock() - sent_at < STALE_S
                if not is_stale or not _is_closed(exc):
                    raise
                response = await self._send(request, _Wire())
        except (httpx.TransportError, OSError) as exc:
            raise map_error(exc, request) from exc
        try:
            return AsyncTransportResponse(response, request.endpoint.provider_host)
        except UpstreamError:
            await run_to_completion(response.aclose())
            raise

    async def _send(self, request: UpstreamRequest, wire: _Wire) -> httpx.Response:
        transport = await self._transport(request.endpoint)
        call = transport.handle_async_request(make_request(request, trace=wire.trace))
        return await run_interruptible(call, wire.cut, httpx.Response.aclose)

    async def aclose(self) -> None:
        """Close the connections that were opened here; a given transport is its owner's."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _aclose_outdated(self) -> None:
        """Close what was opened with certificates of before a reload, once nothing uses it."""
        for identity, transport in list(self._transports.items()):
            is_outdated = not self._contexts.uses(identity[0]) and is_unused(transport)
            if is_outdated and self._transports.pop(identity, None) is not None:
                await transport.aclose()

    async def _transport(self, endpoint: Endpoint) -> httpx.AsyncBaseTransport:
        if self._given is not None:
            return self._given
        proxy = env_proxy(endpoint) if self._trust_env else None
        context = self._contexts.get(endpoint.tls)
        identity = (context, endpoint.server_name, proxy)
        transport = self._transports.get(identity)
        if transport is None:
            transport = self._transports[identity] = httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=NO_LIMITS,
                proxy=proxy,
            )
            await self._aclose_outdated()
        return transport


class _Wire:
    """The connection that carries one call, as far as httpcore tells of it.

    httpcore 1.0 loses sight of a connection if it is cancelled between two of its steps: the socket
    stays open, or the pool believes for ever that it is in use. It cleans up after a network that
    fails, so that is how a call on a new connection is ended.
    """

    __slots__ = ("_has_sent", "_is_cut", "_is_new", "_stream")

    def __init__(self) -> None:
        self._stream: Any = None  # a network stream of httpcore's
        self._is_new = False
        self._has_sent = False
        self._is_cut = False

    @property
    def is_reused(self) -> bool:
        """Whether the request went out on a connection that had served another before."""
        return self._has_sent and not self._is_new

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore tells of each of its steps."""
        if event == "connection.connect_tcp.started":
            self._is_new = True
        elif event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
            if self._is_cut:
                await self._stream.aclose()
        elif event == "http11.send_request_headers.started":
            self._has_sent = True

    async def cut(self, call: asyncio.Task[httpx.Response]) -> None:
        """End `call`: at once, or as soon as there is a connection to close."""
        self._is_cut = True
        if self._stream is None and self._is_new:  # connecting, which rarely takes longer
            await asyncio.wait((call,), timeout=_CONNECT_GRACE_S)
        if self._stream is not None:
            await self._stream.aclose()
        else:
            call.cancel()


class AsyncTransportResponse:
    """An answer on its httpx response; the bytes are the network's, never decoded."""

    __slots__ = ("_chunks", "_host", "_response", "head")

    def __init__(self, response: httpx.Response, host: str) -> None:
        self._response = response
        self._host = host
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport answered with a synchronous stream")
        self._chunks: AsyncIterator[bytes] = response.stream.__aiter__()
        self.head = response_head(host, response.status_code, fields_of(response))

    async def read(self) -> bytes:
        """The next bytes; see `AsyncUpstreamResponse`."""
        try:
            return await run_interruptible(self._next(), self._cut)
        except (httpx.TransportError, OSError) as exc:
            raise torn(self._host) from exc

    async def aclose(self) -> None:
        """Close; httpcore keeps the connection if the body was read to its end."""
        await run_to_completion(self._close())

    async def _next(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""

    async def _cut(self, reading: asyncio.Task[bytes]) -> None:
        stream = self._response.extensions.get("network_stream")
        if stream is None:
            reading.cancel()
        else:
            await stream.aclose()

    async def _close(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):  # else a task of the collector would do it
            await self._chunks.aclose()
        await self._response.aclose()


def _is_closed(exc: Exception) -> bool:
    """Whether the connection ended; what answers something that is not HTTP is there."""
    return isinstance(exc, httpx.ReadError) or "disconnected" in str(exc)
