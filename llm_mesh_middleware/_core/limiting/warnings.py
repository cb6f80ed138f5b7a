"""Thresholds of budgets that have been passed; each is reported once per window."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ..values.decision import Decision

__all__ = ["Warnings"]

_MAX_KEYS = 10_000


class Warnings:
    """The highest threshold that was reported for each window of a budget, in this process."""

    def __init__(self, tell: Callable[[Decision], None]) -> None:
        """`tell` reports that a threshold was passed, in the request that passed it."""
        self.tell = tell
        self._told: OrderedDict[str, float] = OrderedDict()

    def passed(self, key: str, share: float, thresholds: tuple[float, ...]) -> float | None:
        """Return the highest threshold that `share` has passed, if it was not told before."""
        highest = max((each for each in thresholds if share >= each), default=0.0)
        if highest <= self._told.get(key, 0.0):
            return None
        if len(self._told) >= _MAX_KEYS:
            self._told.popitem(last=False)
        self._told[key] = highest
        return highest
