"""The slots of `maxConcurrency`, and the queue for them: first come, first served.

A free slot is assigned to the first waiter immediately, so that no later call can take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Slots", "Wake", "Waiter", "ignore_wake"]

Wake = Callable[[], None]


def ignore_wake() -> None:
    """Do nothing: there is no waiter yet."""


class Waiter:
    """A waiter for a slot, or the holder of one that is not used yet."""

    __slots__ = ("has_slot", "wake")

    def __init__(self, *, has_slot: bool) -> None:
        self.has_slot = has_slot
        self.wake: Wake = ignore_wake


class Slots:
    """Counts calls. The owner holds a lock around each method, and wakes waiters outside of it."""

    __slots__ = ("_limit", "_queue", "in_flight")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._queue: deque[Waiter] = deque()
        self.in_flight = 0

    def has_free(self) -> bool:
        """Return whether a call could start without waiting for another to end."""
        return self._limit is None or self.in_flight < self._limit

    def take(self) -> bool:
        """Use a free slot; return whether there was one."""
        if self._limit is not None and self.in_flight >= self._limit:
            return False
        self.in_flight += 1
        return True

    def join(self) -> Waiter:
        """Return a new waiter; it has a slot at once if one is free."""
        waiter = Waiter(has_slot=self.has_free())
        if waiter.has_slot:
            self.in_flight += 1
        else:
            self._queue.append(waiter)
        return waiter

    def free(self) -> Wake | None:
        """Pass a slot to the first waiter; return the callback that wakes it, if there is one."""
        if not self._queue:
            self.in_flight -= 1
            return None
        waiter = self._queue.popleft()
        waiter.has_slot = True
        return waiter.wake

    def leave(self, waiter: Waiter) -> Wake | None:
        """Remove a waiter; its unused slot goes to the next, which the returned callback wakes."""
        if waiter.has_slot:
            waiter.has_slot = False
            return self.free()
        if waiter in self._queue:
            self._queue.remove(waiter)
        return None
