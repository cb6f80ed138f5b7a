"""Timers that are usually dropped before they are due; all share one timer of the event loop.

    slot       1203   1204   1211        each 10 ms long; never early, at most 20 ms late
    waiting    {a,b}  {c}    {d}         setting and dropping change a set
    timer        ^                       of the loop, for the earliest slot

A timer of the loop for each call would cost ten times as much.
"""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import Any, Protocol
from weakref import ref

from .per_loop import per_loop

__all__ = ["Timed", "Wheel", "wheel_of"]

_PER_S = 100


class Timed(Protocol):
    """An object with a timer."""

    def due(self) -> None:
        """Act: the time has come."""


class Wheel:
    """The timers of one event loop, on the monotonic clock.

    `spare` has objects that keep their timer here until somebody uses them again.
    """

    __slots__ = ("_loop", "_next", "_waiting", "spare")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._waiting: dict[int, set[Timed]] = {}
        self._next = math.inf  # the slot that the loop's timer is set for
        self.spare: list[Any] = []

    def set(self, timed: Timed, when: float) -> int:
        """Call `timed.due` at `when`; return the slot, for `drop`."""
        slot = int(when * _PER_S) + 1
        waiting = self._waiting.get(slot)
        if waiting is None:
            self._waiting[slot] = {timed}
            if slot < self._next:
                self._schedule(slot)
        else:
            waiting.add(timed)
        return slot

    def drop(self, timed: Timed, slot: int) -> None:
        """Remove a timer; do nothing if it was due already."""
        waiting = self._waiting.get(slot)
        if waiting is not None:
            waiting.discard(timed)
            if not waiting:
                del self._waiting[slot]

    def _schedule(self, slot: int) -> None:
        loop = self._loop()
        if loop is not None:
            self._next = slot
            loop.call_at(loop.time() + max(0.0, slot / _PER_S - monotonic()), self._turn, slot)

    def _turn(self, slot: int) -> None:
        if slot != self._next:  # an earlier one was set meanwhile
            return
        self._next = math.inf
        now = int((monotonic() + 0.001) * _PER_S)  # a loop's clock may be behind
        for each in sorted(each for each in self._waiting if each <= now):
            for timed in self._waiting.pop(each, ()):
                timed.due()
        first = min(self._waiting, default=None)
        if first is not None and first < self._next:
            self._schedule(first)


wheel_of = per_loop(Wheel)
