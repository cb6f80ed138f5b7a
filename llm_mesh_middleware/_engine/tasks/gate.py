"""A limit on the connections to one destination that are opened at a time.

Without it, a burst of calls would overflow the provider's queue of new connections, whose system
then drops connections for seconds; and the handshakes would keep this process busy for longer than
one may take.

    a place is free        enter at once
    none is                wait, first come, first served, while connections are opened
    none was opened for as long as a connection may take    time out

Time is counted in turns of the event loop, so that a busy process does not time out on itself.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Gate", "in_turns"]

_MAX_AT_ONCE = 256
_TURN_S = 0.25
_TURNS = 10


class Gate:
    """The places of one destination in one event loop."""

    __slots__ = ("_free", "_passed", "_timer", "_turn", "_waiting")

    def __init__(self, places: int = _MAX_AT_ONCE) -> None:
        self._free = places
        self._turn = 0
        self._passed = 0  # the turn in which a connection was opened last
        self._timer: asyncio.TimerHandle | None = None
        # Each with the turn in which it came, and how many it waits.
        self._waiting: dict[asyncio.Future[None], tuple[int, int]] = {}

    async def enter(self, limit_s: float) -> None:
        """Take a place, or wait for one; `leave` must follow.

        Raises:
            TimeoutError: no connection was opened for `limit_s`.
        """
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = self._turn, math.ceil(limit_s / _TURN_S)
        if self._timer is None:
            self._timer = loop.call_later(_TURN_S, self._next_turn, loop)
        try:
            await place
        except BaseException:
            if self._waiting.pop(place, None) is None and _is_given(place):
                self.leave(has_passed=False)
            raise

    def leave(self, *, has_passed: bool) -> None:
        """Give the place to the next; `has_passed` is whether a connection was opened."""
        if has_passed:
            self._passed = self._turn
        while self._waiting:
            place = next(iter(self._waiting))
            del self._waiting[place]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn += 1
        for place, (came, turns) in list(self._waiting.items()):
            if self._turn - max(came, self._passed) >= turns:
                del self._waiting[place]
                if not place.done():
                    place.set_exception(TimeoutError())
        again = bool(self._waiting)
        self._timer = loop.call_later(_TURN_S, self._next_turn, loop) if again else None


def _is_given(place: asyncio.Future[None]) -> bool:
    return place.done() and not place.cancelled() and place.exception() is None


@asynccontextmanager
async def in_turns(limit_s: float) -> AsyncIterator[None]:
    """Limit the body of the context to `limit_s`, in turns of the event loop.

    Raises:
        TimeoutError: the time is up.
    """
    async with asyncio.timeout(None) as limit:
        turns = _Turns(limit, limit_s / _TURNS)
        try:
            yield
        finally:
            turns.close()


class _Turns:
    """Ends a timeout after `_TURNS` turns; no closure, which would refer to itself."""

    __slots__ = ("_every_s", "_left", "_limit", "_loop", "_timer")

    def __init__(self, limit: asyncio.Timeout, every_s: float) -> None:
        self._limit = limit
        self._every_s = every_s
        self._left = _TURNS
        self._loop = loop = asyncio.get_running_loop()
        self._timer = loop.call_later(every_s, self._turn)

    def close(self) -> None:
        """Let the timeout be."""
        self._timer.cancel()

    def _turn(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._every_s, self._turn)
        else:
            self._limit.reschedule(self._loop.time())
