"""One timer for successive limits of a connection.

start(5)       start(5)       stop()       start(10)
   |               |             |            |
timer set      stays set     stays set    stays set: when it fires, it is set for the rest

So a short request does not set a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Countdown"]


class Countdown:
    """Calls `on_end` when the last given time is over, unless it was stopped."""

    __slots__ = ("_at", "_fires_at", "_handle", "_loop", "_on_end")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._at: float | None = None
        self._fires_at = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Start again, with `seconds` left."""
        self._at = at = self._loop.time() + seconds
        if self._handle is None or at < self._fires_at:
            self._set(at)

    def stop(self) -> None:
        """Do not call `on_end`."""
        self._at = None

    def close(self) -> None:
        """Stop for good, and forget whom to call."""
        self._at = None
        self._on_end = _do_nothing
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._fires_at = at
        self._handle = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle, at = None, self._at
        if at is None:
            return
        if self._loop.time() < at and at > self._fires_at:
            self._set(at)
            return
        self._at = None
        self._on_end()


def _do_nothing() -> None:
    """Stand in for a callback, so that a connection and its timer do not hold each other."""
