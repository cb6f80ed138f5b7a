"""Reports of budget thresholds that were passed, once for each window."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ..values.decision import Decision

__all__ = ["Warnings"]

_MAX_KEYS = 10_000


class Warnings:
    """The highest threshold that was reported for each window of a budget, in this process."""

    def __init__(self, report: Callable[[Decision], None]) -> None:
        """`report` is called in the request that passes a threshold."""
        self.report = report
        self._reported: OrderedDict[str, float] = OrderedDict()

    def passed(self, key: str, share: float, thresholds: tuple[float, ...]) -> float | None:
        """Return the highest threshold that `share` has passed, if it was not reported before."""
        highest = max((each for each in thresholds if share >= each), default=0.0)
        if highest <= self._reported.get(key, 0.0):
            return None
        if len(self._reported) >= _MAX_KEYS:
            self._reported.popitem(last=False)
        self._reported[key] = highest
        return highest
