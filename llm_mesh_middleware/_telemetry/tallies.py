"""Counters that cost next to nothing to add to: they are only looked at when somebody collects."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

__all__ = ["Tally"]

Labels = tuple[tuple[str, str | int], ...]


class Tally:
    """A family of observable counters over the same attribute sets."""

    def __init__(self, meter: Meter, names: Mapping[str, str], *, unit: str, about: str) -> None:
        """`names` maps what is added up to the counter that shows it."""
        self._sums: dict[str, dict[Labels, int]] = {key: {} for key in names}
        self._lock = threading.Lock()
        for key, name in names.items():
            meter.create_observable_counter(
                name, [self._observe(key)], unit=unit, description=f"{about}: {name}"
            )

    def add(self, labels: Labels, amounts: Mapping[str, int]) -> None:
        """Add each amount to its counter."""
        with self._lock:
            for key, amount in amounts.items():
                sums = self._sums[key]
                sums[labels] = sums.get(labels, 0) + amount

    def _observe(self, key: str):  # type: ignore[no-untyped-def]
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                sums = list(self._sums[key].items())
            return [Observation(value, dict(labels)) for labels, value in sums]

        return observe
