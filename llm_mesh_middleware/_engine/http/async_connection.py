"""An asynchronous connection, and its destination.

aiohttp opens connections: it handles names, addresses, TLS and proxies. The transport is then taken
over, because an aiohttp session spends two thirds of a call on things a mesh does not need: parsing
URLs and headers, cookies, redirects.

    the transport calls    data_received, connection_lost
    a call uses            send, receive until the response is over
    the pool checks        is_stale: closed, or holding unexpected bytes
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ..tasks.gate import Gate, in_turns
from .pool import Pool, Probe
from .protocols import MAX_JOINED_BYTES, request_head
from .proxy import Proxy

__all__ = ["AsyncConnection", "AsyncConnector", "AsyncDestination"]

# Connecting has one limit; the driver limits later phases.
_NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

# With more unread, reading pauses, so that a slow client slows the provider down.
_MAX_UNREAD_BYTES = 64 * 1024


class AsyncConnection(asyncio.Protocol):
    """The protocol of a transport that aiohttp has opened; one call at a time uses it."""

    __slots__ = (
        "__weakref__",
        "_closed",
        "_error",
        "_is_lost",
        "_is_over",
        "_is_paused",
        "_loop",
        "_pieces",
        "_probe",
        "_transport",
        "_unread",
        "_waiter",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take over `transport` from its protocol."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._pieces: list[bytes] = []
        self._unread = 0
        self._is_paused = False
        self._is_lost = False
        self._is_over = False  # lost, or closed by us
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._probe = Probe(transport.get_extra_info("socket"))
        transport.set_protocol(self)

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request; the transport buffers what the socket does not accept."""
        if len(body) <= MAX_JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def receive(self) -> bytes:
        """Return the received bytes; empty at the end. A failure is raised after the last bytes.

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
        """Return whether the whole request was sent; some providers respond before that."""
        return self._is_over or not self._transport.get_write_buffer_size()

    def is_stale(self) -> bool:
        """Return whether it was closed while idle, or has unexpected bytes."""
        if self._is_over or self._pieces or self._transport.is_closing():
            return True
        return self._probe.is_readable()  # the loop has not noticed yet

    def close(self) -> None:
        """Close it after the TLS shutdown, which may take a while."""
        if not self._is_over:
            self._is_over = True
            self._transport.close()

    def abort(self) -> None:
        """Close it immediately, and drop unsent bytes."""
        if not self._is_lost:
            self._is_over = True
            self._transport.abort()

    def closed(self) -> asyncio.Future[None]:
        """Return a future that is done when it is closed."""
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


class AsyncDestination:
    """An endpoint, its connection settings, and the idle connections to it."""

    __slots__ = ("_forwards", "address", "context", "gate", "pool")

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, proxy_url: str | None
    ) -> None:
        """Prepare to connect.

        Raises:
            UpstreamConnectError: the URL of the proxy is invalid.
        """
        proxy = Proxy.parse(proxy_url, endpoint) if proxy_url is not None else None
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        # aiohttp's connector takes the address from a request; this one is never sent.
        self.address = aiohttp.ClientRequest(
            "GET",
            URL(f"{endpoint.scheme}://{host}:{endpoint.port}", encoded=True),
            loop=asyncio.get_running_loop(),
            ssl=context or True,
            server_hostname=endpoint.server_name if context is not None else None,
            proxy=URL(proxy_url) if proxy_url is not None else None,
        )
        self.pool: Pool[AsyncConnection] = Pool()
        self.gate = Gate()
        self.context = context
        self._forwards = proxy if context is None else None

    def head(self, request: UpstreamRequest) -> bytes:
        """Return the head of `request` on the wire.

        Raises:
            RequestNotSent: a field is not valid in HTTP/1.1.
        """
        if self._forwards is not None:
            return self._forwards.forwarded_head(request)
        return request_head(request, target=request.target, fields=request.headers)


class AsyncConnector(aiohttp.TCPConnector):
    """Opens connections, without a limit on their number."""

    async def open(self, destination: AsyncDestination, connect_s: float) -> AsyncConnection:
        """Return a new connection to `destination`, taken over from aiohttp.

        Raises:
            TimeoutError: it took longer than `connect_s` seconds, tunnel and TLS included, or no
                other connection was opened for so long.
            aiohttp.ClientError: the connection is refused, or the certificate is invalid.
        """
        if self.closed:
            raise aiohttp.ClientConnectionError
        await destination.gate.enter(connect_s)
        has_passed = False
        try:
            async with in_turns(connect_s):
                opened = await self._create_connection(destination.address, [], _NO_TIMEOUTS)
            has_passed = True
        finally:
            destination.gate.leave(has_passed=has_passed)
        transport = opened.transport
        if transport is None or opened.should_close:  # closed already, or the server has sent bytes
            # first
            opened.close()
            raise aiohttp.ServerDisconnectedError
        return AsyncConnection(transport)
