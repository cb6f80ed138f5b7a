"""One asynchronous connection: bytes go out, and those that come in wait until they are read."""

from __future__ import annotations

import asyncio

from ..tasks.cancel_scope import MAX_JOINED_BYTES

__all__ = ["AsyncWire"]

# Beyond it nothing more is read from the socket, so that a slow client slows the provider.
_MAX_UNREAD_BYTES = 64 * 1024


class AsyncWire(asyncio.Protocol):
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
