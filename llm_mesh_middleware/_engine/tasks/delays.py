"""Timers of one length, which are usually dropped before they are due.

    waiting    {a: 12.03, b: 12.07, c: 12.08}     in the order in which they are due
    timer             ^                           of the loop, for the first of them

As all are equally long, a new one is always the last: beginning one and dropping it each change a
dictionary, which takes half of what the `Wheel` takes, where timers may have any length.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from weakref import ref

from .wheel import Timed

__all__ = ["Delays"]


class Delays:
    """The timers of one event loop that take `seconds` each; drop one by removing it."""

    __slots__ = ("_is_set", "_loop", "_seconds", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = ref(loop)
        self._seconds = seconds
        self._is_set = False
        self.waiting: dict[Timed, float] = {}

    def begin(self, timed: Timed) -> None:
        """Call `timed.due` in `seconds`, unless it is removed from `waiting` before."""
        self.waiting[timed] = monotonic() + self._seconds
        if not self._is_set:
            self._set(self._seconds)

    def _set(self, seconds: float) -> None:
        loop = self._loop()
        if loop is not None:
            self._is_set = True
            loop.call_later(seconds, self._turn)

    def _turn(self) -> None:
        self._is_set = False
        now = monotonic() + 0.001  # a loop's clock may be behind
        for timed, due_at in [*self.waiting.items()]:
            if due_at > now:
                self._set(due_at - now)
                return
            if self.waiting.pop(timed, None) is not None:
                timed.due()
