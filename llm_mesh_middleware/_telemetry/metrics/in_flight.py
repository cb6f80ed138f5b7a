"""The number of calls in flight: those that have begun, without those that have ended."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..._process.forks import follow_forks

__all__ = ["InFlight"]


class InFlight:
    """An observable count without a lock: a set takes and loses a number in one step.

    `begin` and `end` take a number that tells calls apart as long as they last.
    """

    def __init__(self, meter: Meter, name: str, unit: str) -> None:
        self._begun: set[int] = set()
        self.begin, self.end = self._begun.add, self._begun.discard
        meter.create_observable_up_down_counter(name, [self._observe], unit)
        follow_forks(self)

    def _begin_process(self) -> None:
        """Forget what is in flight in the parent process."""
        self._begun.clear()

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(len(self._begun))]
