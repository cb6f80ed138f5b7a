"""A connection of an event loop, and where it goes to.

aiohttp opens connections: names, addresses, TLS and proxies are its business. What is sent and read
on them is not: an aiohttp session spends two thirds of a call on what a mesh has no use for, such
as URLs and headers made from text, cookies and redirects.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from .pool import Pool
from .protocols import MAX_JOINED_BYTES, request_head

__all__ = ["AsyncConnection", "AsyncConnector", "Destination"]

# Beyond it nothing more is read from the socket, so that a slow client slows the provider.
_MAX_UNREAD_BYTES = 64 * 1024


class AsyncConnection(asyncio.Protocol):
    """The protocol of a transport that somebody else has opened; one call at a time reads it."""

    __slots__ = (
        "__weakref__",
        "_closed",
        "_error",
        "_is_lost",
        "_is_over",
        "_is_paused",
        "_loop",
        "_pieces",
        "_transport",
        "_unread",
        "_waiter",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take the transport over from the protocol that it had."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._pieces: list[bytes] = []
        self._unread = 0
        self._is_paused = False
        self._is_lost = False
        self._is_over = False  # lost, or closed from here
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        transport.set_protocol(self)

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request; what the socket does not take at once is sent as it does."""
        if len(body) <= MAX_JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def receive(self) -> bytes:
        """The bytes that have come; empty at the end. What came before a failure is given first.

        Raises:
            ConnectionResetError: the connection is broken.
        """
        pieces = self._pieces
        if not pieces:
            if not self._is_lost:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            if not pieces:
                if self._error is not None:
                    raise ConnectionResetError from self._error
                return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread = 0
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def is_sent(self) -> bool:
        """Whether the whole request has left; some providers answer before they have read it."""
        return self._is_over or not self._transport.get_write_buffer_size()

    def is_stale(self) -> bool:
        """Whether the provider has closed it, or has said something that nobody has asked for."""
        return self._is_over or bool(self._pieces) or self._transport.is_closing()

    def close(self) -> None:
        """Close it with TLS's goodbye, to which the other end may take a while to answer."""
        if not self._is_over:
            self._is_over = True
            self._transport.close()

    def abort(self) -> None:
        """Close it at once, whatever is still on its way in either direction."""
        if not self._is_lost:
            self._is_over = True
            self._transport.abort()

    def closed(self) -> asyncio.Future[None]:
        """Done when it is closed."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            if self._is_lost:
                self._closed.set_result(None)
        return self._closed

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > _MAX_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        if (waiter := self._waiter) is not None and not waiter.done():
            waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        self._is_lost = self._is_over = True
        self._error = exc
        for waiter in (self._waiter, self._closed):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)


class Destination:
    """Where calls go: an endpoint, what is needed to connect to it, and idle connections to it."""

    __slots__ = ("_is_forwarded", "address", "pool")

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, proxy: str | None
    ) -> None:
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        # To aiohttp's connector a request is an address; this one is never sent.
        self.address = aiohttp.ClientRequest(
            "GET",
            URL(f"{endpoint.scheme}://{host}:{endpoint.port}", encoded=True),
            loop=asyncio.get_running_loop(),
            ssl=context or True,
            server_hostname=endpoint.server_name if context is not None else None,
            proxy=URL(proxy) if proxy is not None else None,
        )
        self.pool: Pool[AsyncConnection] = Pool()
        self._is_forwarded = proxy is not None and context is None

    def head(self, request: UpstreamRequest) -> bytes:
        """The request's head on the wire.

        Raises:
            UpstreamProtocolError: a field would not be the one that it is.
        """
        target, fields = request.target, request.headers
        if self._is_forwarded:  # the proxy is to see the whole address, and its own credentials
            target = f"{self.address.url.origin()}{target}"
            if credentials := self.address.headers.get("Proxy-Authorization"):
                fields = (*fields, (b"proxy-authorization", credentials.encode()))
        return request_head(request, target=target, fields=fields)


class AsyncConnector(aiohttp.TCPConnector):
    """Opens connections, as many as are needed."""

    async def open(self, destination: Destination, connect_s: float) -> AsyncConnection:
        """A connection to `destination`, taken over from aiohttp.

        Raises:
            TimeoutError: there was none within `connect_s` seconds.
            aiohttp.ClientError: there was none.
        """
        if self.closed:
            raise aiohttp.ClientConnectionError
        # Only connecting is timed here; the later phases are the driver's.
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_s, sock_read=None
        )
        opened = await self._create_connection(destination.address, [], timeout)
        transport = opened.transport
        if transport is None or opened.should_close:  # gone already, or it has spoken first
            opened.close()
            raise aiohttp.ServerDisconnectedError
        return AsyncConnection(transport)
