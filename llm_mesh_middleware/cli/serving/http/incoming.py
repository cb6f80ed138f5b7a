"""The body of one request, as far as it has arrived."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ...._core.private import PerCall
from ....inbound import Headers, too_large

__all__ = ["ARRIVED", "IncomingBody", "Source", "joined"]

# The most bytes that are buffered before a reader asks for them.
_UNASKED_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Source(Protocol):
    """The connection that a body comes from."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""


class IncomingBody(PerCall):
    """Pieces of a body. A waiting reader is woken; `100 Continue` is sent when one waits.

    `size` is the number of bytes that have arrived and were not taken.
    """

    _source: Source
    _expects_continue: bool
    _pieces: list[bytes] = []
    size: int = 0
    is_complete: bool = False
    _waiter: asyncio.Future[None] | None = None

    @classmethod
    def of(
        cls, source: Source, headers: Headers, pieces: list[bytes], *, is_complete: bool = False
    ) -> IncomingBody:
        """Return the body of a request with `headers`, of which `pieces` have arrived."""
        size = sum(map(len, pieces))
        if size > _UNASKED_BYTES and not is_complete:
            source.pause_reading()
        expects = any(value.lower() == b"100-continue" for value in headers.get_all(b"expect"))
        return cls(source, expects, pieces, size, is_complete)

    def feed(self, data: bytes) -> None:
        """Take a piece from the parser."""
        self._pieces.append(data)
        self.size += len(data)
        if self._waiter is not None:
            self.wake()
        elif self.size > _UNASKED_BYTES:
            self._source.pause_reading()

    def finish(self) -> None:
        """Take the end of the body."""
        self.is_complete = True
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Wake the waiting reader."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def whole(self, max_bytes: int) -> bytes:
        """Wait for the whole body and return it.

        Raises:
            RequestTooLarge: it has more than `max_bytes`.
        """
        while not self.is_complete and self.size <= max_bytes:
            await self.wait()
        if self.size > max_bytes:
            raise too_large(max_bytes)
        return self.take()

    async def wait(self) -> None:
        """Wait until there is more, or `wake` is called."""
        if self._expects_continue:
            self._expects_continue = False
            self._source.send(_CONTINUE)
        self._source.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    @property
    def may_never_come(self) -> bool:
        """Whether the client waits for `100 Continue`, so that a body may never come."""
        return self._expects_continue and not self.is_complete

    @property
    def has_pieces(self) -> bool:
        """Whether something has arrived that was not taken."""
        return bool(self._pieces)

    def take(self) -> bytes:
        """Return the bytes that have arrived, and forget them."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return joined(pieces)

    def drop(self) -> None:
        """Forget the bytes that have arrived: the reply was sent, and nobody will read them."""
        self._pieces, self.size, self._expects_continue = [], 0, False
        self._source.resume_reading()


ARRIVED = IncomingBody(None, False, is_complete=True)  # type: ignore[arg-type]  # asks it nothing
"""The body of a request that has been given it."""


def joined(pieces: list[bytes]) -> bytes:
    """Return the pieces in one, without a copy if there is only one."""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
