"""One call for many equal requests ("single flight").

first request    makes the call
others           wait for it
landed           waiters reply with the entry; without one, each makes its own call
failed           waiters board again, so one of them makes the next call
client left      the call continues for the waiters; it ends when the last of them has left
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Flight", "Flights"]

_MAX_FLIGHTS = 10_000


class Flight:
    """One shared call.

    `outcome` is its result for the waiters. `is_worth_another`: the call failed, and another one
    may succeed. `is_held`: its own client blocks it by not reading the stream. It is the `Interest`
    of the step `Outlive`.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        """Begin a flight; `lock` guards it."""
        self._lock = lock
        self._waiting = 0
        self._wakes: list[Callable[[], None]] = []
        self._on_lost: Callable[[], None] | None = None
        self.has_landed = False
        self.outcome: object = None
        self.is_worth_another = False
        self.is_held = False

    def join(self) -> bool:
        """Register a waiter, which must leave later; return False if the flight has landed."""
        with self._lock:
            if self.has_landed:
                return False
            self._waiting += 1
            return True

    def leave(self) -> None:
        """Remove a waiter."""
        with self._lock:
            self._waiting -= 1
            lost = self._on_lost if not self._waiting else None
        if lost is not None:
            lost()

    def on_landing(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the flight lands, immediately if it has."""
        with self._lock:
            if not self.has_landed:
                self._wakes.append(wake)
                return
        wake()

    def has_waiters(self) -> bool:
        """Return whether the call has not ended and has waiters."""
        return self._waiting > 0 and not self.has_landed

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` when the last waiter has left, immediately if there is none."""
        with self._lock:
            self._on_lost = lost
        if not self.has_waiters():
            lost()

    def land(self, outcome: object, *, is_worth_another: bool) -> None:
        """End the flight; the first outcome counts."""
        with self._lock:
            if self.has_landed:
                return
            self.has_landed, self.outcome = True, outcome
            self.is_worth_another = is_worth_another
            wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()


class Flights:
    """The flights of one process, by key."""

    def __init__(self, make_lock: Callable[[], AbstractContextManager[object]]) -> None:
        """Begin with none."""
        self._make_lock = make_lock
        self._lock = make_lock()
        self._flights: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def board(self, key: str) -> tuple[Flight, bool]:
        """Return the flight of a key, and whether the caller has begun it rather than joined it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.join():
                return flight, False
            flight = Flight(self._make_lock())
            if len(self._flights) < _MAX_FLIGHTS:
                self._flights[key] = flight
            return flight, True

    def end(self, key: str, flight: Flight) -> None:
        """Forget a flight that has landed."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
