"""Asynchronous upstream calls on an httpx transport given to `Mesh`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import httpx

from ..._core.values.messages import UpstreamRequest
from ...exceptions import UpstreamError
from ..tasks.shielding import run_interruptible, run_to_completion
from .httpx_spans import make_request
from .protocols import STALE_S, response_head, torn
from .transport_client import extensions_of, headers_of, map_error

__all__ = ["AsyncTransportClient"]

# How long the cancellation of a call waits for its connection, in order to close it.
_CONNECT_GRACE_S = 0.02


class AsyncTransportClient:
    """Makes every call with the transport, which handles connections, trust and proxies."""

    def __init__(self, transport: httpx.AsyncBaseTransport | httpx.BaseTransport) -> None:
        if not isinstance(transport, httpx.AsyncBaseTransport):
            raise TypeError(f"{type(transport).__name__} is synchronous: it cannot serve `asend`")
        self._transport = transport

    async def open(self, request: UpstreamRequest) -> AsyncTransportResponse:
        """Send `request`; see `AsyncUpstreamClient`.

        A reused connection that the provider was closing is replaced, once.
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
        sent = make_request(request, extensions_of(request, trace=wire.trace))
        call = self._transport.handle_async_request(sent)
        return await run_interruptible(call, wire.interrupt, httpx.Response.aclose)

    async def aclose(self) -> None:
        """Do nothing: the transport belongs to the application."""


class _Wire:
    """The connection of one call, as reported by httpcore's trace.

    httpcore 1.0 loses track of a connection if it is cancelled between two of its steps: the socket
    stays open, or the pool counts it as used for ever. It does clean up after a network failure, so
    a call on a new connection is ended by closing its socket.
    """

    __slots__ = ("_has_sent", "_is_interrupted", "_is_new", "_stream")

    def __init__(self) -> None:
        self._stream: Any = None  # a network stream of httpcore
        self._is_new = False
        self._has_sent = False
        self._is_interrupted = False

    @property
    def is_reused(self) -> bool:
        """Whether the request was sent on a reused connection."""
        return self._has_sent and not self._is_new

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore with each step of a call."""
        if event == "connection.connect_tcp.started":
            self._is_new = True
        elif event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
            if self._is_interrupted:
                await self._stream.aclose()
        elif event == "http11.send_request_headers.started":
            self._has_sent = True

    async def interrupt(self, call: asyncio.Task[httpx.Response]) -> None:
        """End `call`, immediately or as soon as there is a connection to close."""
        self._is_interrupted = True
        if self._stream is None and self._is_new:  # connecting, which rarely takes longer
            await asyncio.wait((call,), timeout=_CONNECT_GRACE_S)
        if self._stream is not None:
            await self._stream.aclose()
        else:
            call.cancel()


class AsyncTransportResponse:
    """A response of the transport, with the undecoded bytes of the network."""

    __slots__ = ("_chunks", "_host", "_response", "head")

    is_released = False

    def __init__(self, response: httpx.Response, host: str) -> None:
        self._response = response
        self._host = host
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("the transport answered with a synchronous stream")
        self._chunks: AsyncIterator[bytes] = response.stream.__aiter__()
        self.head = response_head(host, response.status_code, headers_of(response))

    async def read(self) -> bytes:
        """Return the next bytes; see `AsyncUpstreamResponse`."""
        try:
            return await run_interruptible(self._next(), self._interrupt)
        except (httpx.TransportError, OSError) as exc:
            raise torn(self._host) from exc

    def tap(self, take: object) -> bool:
        """Return False: a transport has to be asked."""
        return False

    async def aclose(self) -> None:
        """Close; httpcore keeps the connection if the body was read to its end."""
        await run_to_completion(self._close())

    async def _next(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""

    async def _interrupt(self, reading: asyncio.Task[bytes]) -> None:
        stream = self._response.extensions.get("network_stream")
        if stream is None:
            reading.cancel()
        else:
            await stream.aclose()

    async def _close(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):  # otherwise garbage collection would do it in
            # a task
            await self._chunks.aclose()
        await self._response.aclose()


def _is_closed(exc: Exception) -> bool:
    """Return whether the connection ended; a server that sends other bytes than HTTP is there."""
    return isinstance(exc, httpx.ReadError) or "disconnected" in str(exc)
