"""Counters that are cheap to add to: they are read only when metrics are collected."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import partial

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..._process.forks import ForkLock, follow_forks

__all__ = ["Labels", "Tallies", "Tally"]

Labels = tuple[tuple[str, str | int], ...]


class Tally:
    """An observable counter. The same attributes in another order are another set."""

    def __init__(
        self,
        meter: Meter,
        name: str,
        unit: str,
        about: str = "",
        *,
        can_fall: bool = False,
        scale: float | None = None,
    ) -> None:
        """`can_fall` is for a number of the moment, such as active requests, rather than a total.

        The sum is exact, and multiplied by `scale` when it is read.
        """
        self._scale = scale
        self._sums: dict[Labels, int] = {}
        self._lock = ForkLock()
        create = (
            meter.create_observable_up_down_counter if can_fall else meter.create_observable_counter
        )
        create(name, [self._observe], unit, about)
        if can_fall:
            follow_forks(self)

    def _begin_process(self) -> None:
        """Forget what is active in the parent process."""
        self._sums = {}

    def add(self, amount: int, labels: Labels = ()) -> None:
        """Add to the sum for `labels`."""
        with self._lock.of_process:
            self._sums[labels] = self._sums.get(labels, 0) + amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock.of_process:
            sums = list(self._sums.items())
        scale = self._scale
        return [
            Observation(value if scale is None else value * scale, dict(labels))
            for labels, value in sums
        ]


class Tallies:
    """A family of counters over the same attribute sets."""

    def __init__(self, meter: Meter, names: Iterable[str], *, unit: str, about: str) -> None:
        """`names` are those of the counters, in the order in which amounts are given."""
        self._sums: dict[Labels, list[int]] = {}
        self._lock = ForkLock()
        for index, name in enumerate(names):
            observe = partial(self._observe, index)
            meter.create_observable_counter(name, [observe], unit, f"{about}: {name}")

    def add(self, labels: Labels, amounts: Sequence[int]) -> None:
        """Add each amount to its counter."""
        with self._lock.of_process:
            sums = self._sums.get(labels)
            if sums is None:
                self._sums[labels] = list(amounts)
            else:
                sums[:] = map(operator.add, sums, amounts)

    def _observe(self, index: int, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock.of_process:
            sums = [(labels, amounts[index]) for labels, amounts in self._sums.items()]
        return [Observation(value, dict(labels)) for labels, value in sums]
