"""One call for many equal requests.

first request    makes the call
others           wait for it
landed           those who wait reply with the entry; without one, each asks for itself
failed, left     those who wait board anew, so one of them makes the next call
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Flight", "Flights"]

_MAX_FLIGHTS = 10_000


class Flight:
    """One call under way.

    `outcome` is what those who wait may have of it. `is_worth_another` says that the call came to
    nothing, and that another one may do better.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        """Begin a flight; `lock` guards it."""
        self._lock = lock
        self._waiting: list[Callable[[], None]] = []
        self.has_landed = False
        self.outcome: object = None
        self.is_worth_another = False

    def on_landing(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the flight has landed, or at once if it has."""
        with self._lock:
            if not self.has_landed:
                self._waiting.append(wake)
                return
        wake()

    def land(self, outcome: object, *, is_worth_another: bool) -> None:
        """End the flight; the first word holds."""
        with self._lock:
            if self.has_landed:
                return
            self.has_landed, self.outcome = True, outcome
            self.is_worth_another = is_worth_another
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
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
        """Return the flight of a key, and whether the caller has begun it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and not flight.has_landed:
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
