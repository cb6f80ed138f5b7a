"""An asynchronous connection, which `dialling` opens, and its destination.

the transport calls    connection_made, data_received, connection_lost
a call uses            send, received and more, or tap, until the response is over
the pool checks        is_stale: closed, or holding unexpected bytes
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ..tasks.gate import Gate
from .pool import Pool, probe_of
from .protocols import MAX_JOINED_BYTES, request_head
from .proxy import Proxy

__all__ = ["AsyncConnection", "AsyncDestination"]

# With more unread, reading pauses, so that a slow client slows the provider down.
_MAX_UNREAD_BYTES = 64 * 1024


class AsyncConnection(asyncio.Protocol):
    """The protocol of one transport; one call at a time uses it."""

    __slots__ = (
        "__weakref__",
        "_closed",
        "_error",
        "_is_lost",
        "_is_over",
        "_is_paused",
        "_loop",
        "_pieces",
        "_has_news",
        "_take",
        "_transport",
        "_unread",
        "_waiter",
    )

    _transport: asyncio.Transport
    _has_news: Callable[[int], object]

    def __init__(self) -> None:
        """Prepare for `connection_made`."""
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._unread = 0
        self._take: Callable[[bytes], object] | None = None
        self._is_paused = False
        self._is_lost = False
        self._is_over = False  # lost, or closed by us
        self._error: Exception | None = None
        self._waiter: asyncio.Future[bytes | None] | None = None
        self._closed: asyncio.Future[None] | None = None

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request; the transport buffers what the socket does not accept."""
        if len(body) <= MAX_JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def received(self) -> bytes | None:
        """Return the received bytes, empty at the end; None if `more` has to be awaited first.

        A failure is raised after the last bytes.

        Raises:
            ConnectionResetError: the connection is broken.
        """
        pieces = self._pieces
        if not pieces:
            if not self._is_lost:
                return None
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

    def more(self) -> asyncio.Future[bytes | None]:
        """Return a future of what comes next; None if `received` has something, or tells the end.

        A caller that stops waiting for it must not read on: what has just come is lost.
        """
        self._waiter = waiter = self._loop.create_future()
        if self._pieces or self._is_lost:
            waiter.set_result(None)
        return waiter

    def tap(self, take: Callable[[bytes], object] | None) -> bool:
        """Give what comes from now on to `take`, and empty bytes at the end; None: keep it.

        Returns:
            Whether it does so. It does not if `received` has something, or tells the end.
        """
        is_quiet = not self._pieces and not self._is_lost
        self._take = take if is_quiet else None
        return is_quiet

    def is_sent(self) -> bool:
        """Return whether the whole request was sent; some providers respond before that."""
        return self._is_over or not self._transport.get_write_buffer_size()

    def is_stale(self) -> bool:
        """Return whether it was closed while idle, or has unexpected bytes."""
        if self._is_over or self._pieces or self._transport.is_closing():
            return True
        return bool(self._has_news(0))  # the loop has not noticed yet

    def is_spent(self) -> bool:
        """Return whether a new one cannot be used: it is closed, or has bytes nobody asked for."""
        return self._is_over or bool(self._pieces)

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport, or by who takes it over from another protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._has_news = probe_of(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        if (take := self._take) is not None:
            take(data)
            return
        if (waiter := self._waiter) is not None:  # who waits has read all there was
            self._waiter = None
            if not waiter.done():
                waiter.set_result(data)
                return
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > _MAX_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        self._is_lost = self._is_over = True
        self._error = exc
        for waiter in (self._waiter, self._closed):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if self._take is not None:
            self._take(b"")


class AsyncDestination:
    """An endpoint, its connection settings, and the idle connections to it."""

    __slots__ = ("_forwards", "context", "endpoint", "gate", "pool", "proxy_url")

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, proxy_url: str | None
    ) -> None:
        """Prepare to connect.

        Raises:
            UpstreamConnectError: the URL of the proxy is invalid.
        """
        proxy = Proxy.parse(proxy_url, endpoint) if proxy_url is not None else None
        self.endpoint = endpoint
        self.proxy_url = proxy_url
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
        return request_head(request, request.target, request.headers)
