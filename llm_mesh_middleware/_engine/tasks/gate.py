"""Bounds the connections to one destination that are being opened at the same time.

A burst of calls without a limit would overflow the provider's queue of new connections, and its
system drops what does not fit for seconds. So many handshakes would also keep this process busy for
longer than one of them may take.

    a place is free     enter at once
    none is             wait, first come, first served, while others get through
    nobody has got through for as long as a connection may take    time out
"""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Gate"]

_MAX_AT_ONCE = 256


class Gate:
    """The places of one destination in one event loop."""

    __slots__ = ("_free", "_passed_at", "_waiting")

    def __init__(self, places: int = _MAX_AT_ONCE) -> None:
        self._free = places
        self._passed_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, limit_s: float) -> None:
        """Take a place, or wait for one; `leave` must follow.

        Raises:
            TimeoutError: nobody has got through for `limit_s`.
        """
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append(place)
        since = loop.time()
        try:
            while not place.done():
                left_s = max(since, self._passed_at) + limit_s - loop.time()
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait((place,), timeout=left_s)
        except BaseException:
            if place.done():
                self.leave(has_passed=False)
            else:
                self._waiting.remove(place)
            raise

    def leave(self, *, has_passed: bool) -> None:
        """Give the place to the next; `has_passed` is whether a connection was opened."""
        if has_passed and self._waiting:
            self._passed_at = asyncio.get_running_loop().time()
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1
