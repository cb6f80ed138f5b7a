"""Connections to one place that wait for their next call.

httpcore's own pool looks at every connection for every request, twice; aiohttp's makes an object
for each. Here a call takes the connection that was used last and brings it back, and a queue
without a lock is all that threads share.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["KEEPALIVE_S", "Pool"]

KEEPALIVE_S = 15.0


class _Connection(Protocol):
    def is_stale(self) -> bool:
        """Whether anything has happened to it since its last call."""

    def close(self) -> None: ...


Kept = TypeVar("Kept", bound=_Connection)


class Pool(Generic[Kept]):
    """Idle connections, each usable for `KEEPALIVE_S` after its last call."""

    def __init__(self) -> None:
        # The latest last, each with the time when it is too old.
        self._idle: deque[tuple[Kept, float]] = deque()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> Kept | None:
        """A connection for one call, or None if there is none that can be used."""
        while self._idle:
            try:
                connection, too_old_at = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if time.monotonic() < too_old_at and not connection.is_stale():
                return connection
            connection.close()
        return None

    def give_back(self, connection: Kept) -> None:
        """Keep a connection whose call is over."""
        if self._is_closed:
            connection.close()
            return
        now = time.monotonic()
        self._idle.append((connection, now + KEEPALIVE_S))
        if self._is_closed or self._oldest_until() < now:  # one too many is closed at a time
            self._drop_oldest()

    def drop_old(self) -> None:
        """Close what is too old."""
        now = time.monotonic()
        while self._oldest_until() < now:
            self._drop_oldest()

    def close(self) -> None:
        """Close what is idle now, and what is in use when its call is over."""
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
        except IndexError:  # another thread was quicker
            return
        connection.close()
