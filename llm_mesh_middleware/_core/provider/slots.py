"""The slots of `maxConcurrency`, and the queue for them: first come, first served.

A slot that comes free belongs to the first waiter from that moment on, so that no later call can
take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Slots", "Wake", "Waiter", "wake_nobody"]

Wake = Callable[[], None]


def wake_nobody() -> None:
    """Do nothing: nobody waits, or not yet."""


class Waiter:
    """One that waits for a slot, or has one that it has not used yet."""

    __slots__ = ("has_slot", "wake")

    def __init__(self, *, has_slot: bool) -> None:
        self.has_slot = has_slot
        self.wake: Wake = wake_nobody


class Slots:
    """Counts calls. Whoever owns it holds a lock around each call, and wakes outside of it."""

    __slots__ = ("_limit", "_queue", "in_flight")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._queue: deque[Waiter] = deque()
        self.in_flight = 0

    @property
    def has_free(self) -> bool:
        """Whether a call could be made without waiting for another to end."""
        return self._limit is None or self.in_flight < self._limit

    def take(self) -> None:
        """Use a free slot."""
        self.in_flight += 1

    def join(self) -> Waiter:
        """Return a new waiter; it has a slot at once if one is free."""
        waiter = Waiter(has_slot=self.has_free)
        if waiter.has_slot:
            self.in_flight += 1
        else:
            self._queue.append(waiter)
        return waiter

    def free(self) -> Wake:
        """Hand a slot to the first in the queue; return what wakes it."""
        if not self._queue:
            self.in_flight -= 1
            return wake_nobody
        waiter = self._queue.popleft()
        waiter.has_slot = True
        return waiter.wake

    def leave(self, waiter: Waiter) -> Wake:
        """Remove a waiter; a slot it has not used goes to the next, whom the result wakes."""
        if waiter.has_slot:
            waiter.has_slot = False
            return self.free()
        if waiter in self._queue:
            self._queue.remove(waiter)
        return wake_nobody
