"""Counters that are cheap to add to: they are read only when metrics are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..._process.forks import ForkLock, follow_forks

__all__ = ["Labels", "Tallies", "Tally"]

Labels = tuple[tuple[str, str | int], ...]

_MAX_IDENTITIES = 2048


class Tally:
    """An observable counter. The same attributes in another order are another set."""

    def __init__(
        self,
        meter: Meter,
        name: str,
        unit: str,
        about: str = "",
        *,
        is_up_down: bool = False,
        scale: float | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """`is_up_down` is for a current value, such as active requests, rather than a total.

        The sum is exact, and multiplied by `scale` when it is read. `prepare` is called before.
        """
        self._prepare = prepare
        self._scale = scale
        self._sums: dict[Labels, int] = {}
        self._lock = ForkLock()
        create = (
            meter.create_observable_up_down_counter
            if is_up_down
            else meter.create_observable_counter
        )
        create(name, [self._observe], unit, about)
        if is_up_down:
            follow_forks(self)

    def _begin_process(self) -> None:
        """Forget what is active in the parent process."""
        self._sums = {}

    def add(self, amount: int, labels: Labels = ()) -> None:
        """Add to the sum for `labels`."""
        with self._lock.of_process:
            self._sums[labels] = self._sums.get(labels, 0) + amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        if self._prepare is not None:
            self._prepare()
        with self._lock.of_process:
            sums = list(self._sums.items())
        scale = self._scale
        return [
            Observation(value if scale is None else value * scale, dict(labels))
            for labels, value in sums
        ]


class Tallies:
    """A family of counters over the same attribute sets."""

    def __init__(
        self,
        meter: Meter,
        names: Iterable[str],
        *,
        unit: str,
        about: str,
        prepare: Callable[[], None],
    ) -> None:
        """`names` are those of the counters, in the order in which amounts are given.

        `prepare` is called before they are read.
        """
        self._prepare = prepare
        self._sums: dict[Labels, list[int]] = {}
        self._known: dict[int, tuple[Labels, list[int]]] = {}
        self._lock = ForkLock()
        self._count = len(named := tuple(names))
        for index, name in enumerate(named):
            observe = partial(self._observe, index)
            meter.create_observable_counter(name, [observe], unit, f"{about}: {name}")

    def add(self, labels: Labels, amounts: Sequence[int]) -> None:
        """Add each amount to its counter; labels that are the same object are found faster."""
        with self._lock.of_process:
            known = self._known.get(id(labels))
            sums = known[1] if known is not None and known[0] is labels else self._enter(labels)
            for index, amount in enumerate(amounts):
                if amount:
                    sums[index] += amount

    def _enter(self, labels: Labels) -> list[int]:
        sums = self._sums.setdefault(labels, [0] * self._count)
        if len(self._known) >= _MAX_IDENTITIES:
            self._known.clear()
        self._known[id(labels)] = labels, sums
        return sums

    def _observe(self, index: int, _: CallbackOptions) -> Iterable[Observation]:
        self._prepare()
        with self._lock.of_process:
            sums = [(labels, amounts[index]) for labels, amounts in self._sums.items()]
        return [Observation(value, dict(labels)) for labels, value in sums]
