"""Counters that cost next to nothing to add to: they are only looked at when somebody collects."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

__all__ = ["Labels", "Tallies", "Tally"]

Labels = tuple[tuple[str, str | int], ...]


class Tally:
    """An observable counter; an attribute set that is always given in one order is one."""

    def __init__(
        self, meter: Meter, name: str, unit: str, about: str = "", *, can_fall: bool = False
    ) -> None:
        """`can_fall` is for what is going on, rather than for what has been."""
        self._sums: dict[Labels, int] = {}
        self._lock = threading.Lock()
        create = (
            meter.create_observable_up_down_counter if can_fall else meter.create_observable_counter
        )
        create(name, [self._observe], unit, about)

    def add(self, amount: int, labels: Labels = ()) -> None:
        """Add to the sum for `labels`."""
        with self._lock:
            self._sums[labels] = self._sums.get(labels, 0) + amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            sums = list(self._sums.items())
        return [Observation(value, dict(labels)) for labels, value in sums]


class Tallies:
    """A family of counters over the same attribute sets."""

    def __init__(self, meter: Meter, names: Mapping[str, str], *, unit: str, about: str) -> None:
        """`names` maps what is added up to the counter that shows it."""
        self._tallies = {
            key: Tally(meter, name, unit, f"{about}: {name}") for key, name in names.items()
        }

    def begin_process(self) -> None:
        """In a forked child: a thread that has stayed behind may have held the lock."""
        self._lock = threading.Lock()

    def add(self, labels: Labels, amounts: Mapping[str, int]) -> None:
        """Add each amount to its counter."""
        for key, amount in amounts.items():
            self._tallies[key].add(amount, labels)
