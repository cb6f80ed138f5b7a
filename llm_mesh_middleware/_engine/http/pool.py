"""Idle connections to one destination.

httpcore's pool checks every connection for every request, twice; aiohttp's creates an object for
each. Here a call takes the most recently used connection and returns it; threads share only a
deque, without a lock.

    take        from the right: the latest; a too old or stale one is closed
    give_back   to the right; closes one that is too old at the left
    drop_old    closes all that are too old at the left

A connection with unread bytes is stale: they would be taken for the next response.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

__all__ = ["KEEPALIVE_S", "Pool", "probe_of"]

KEEPALIVE_S = 15.0


class _Socket(Protocol):
    def fileno(self) -> int: ...


def probe_of(sock: _Socket) -> Callable[[int], object]:
    """Return what tells, called with 0, whether a socket has bytes to read or was closed.

    It is made once, and called before each call: on all systems but Windows that is a method in C.
    """
    if not hasattr(select, "poll"):
        return lambda seconds: select.select([sock], [], [], seconds)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return poll.poll


class _Connection(Protocol):
    def is_stale(self) -> bool:
        """Return whether it was closed or received bytes after its last call."""

    def close(self) -> None: ...


Kept = TypeVar("Kept", bound=_Connection)


class Pool(Generic[Kept]):
    """Idle connections, each usable for `KEEPALIVE_S` after its last call."""

    def __init__(self) -> None:
        # Most recent last, each with the time when it expires.
        self._idle: deque[tuple[Kept, float]] = deque()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> Kept | None:
        """Return an idle connection, or None if none can be used."""
        while self._idle:
            try:
                connection, too_old_at = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() < too_old_at and not connection.is_stale():
                return connection
            connection.close()
        return None

    def give_back(self, connection: Kept) -> None:
        """Return a connection after its call."""
        if self._is_closed:
            connection.close()
            return
        now = time.monotonic()
        self._idle.append((connection, now + KEEPALIVE_S))
        if self._is_closed or self._oldest_until() < now:  # close one at a time if there are too
            # many
            self._drop_oldest()

    def drop_old(self) -> None:
        """Close the connections that are too old."""
        now = time.monotonic()
        while self._oldest_until() < now:
            self._drop_oldest()

    def close(self) -> None:
        """Close idle connections now, and used ones when their call ends."""
        self._is_closed = True
        while self._idle:
            self._drop_oldest()

    def _oldest_until(self) -> float:
        try:
            return self._idle[0][1]
        except IndexError:  # there is none, or another thread has just taken it
            return math.inf

    def _drop_oldest(self) -> None:
        try:
            connection, _ = self._idle.popleft()
        except IndexError:  # another thread was faster
            return
        connection.close()
