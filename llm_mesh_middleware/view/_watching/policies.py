"""Decisions of policies in the last five minutes, and the levels of limits and budgets.

Bounded: 500 items, each with 16 kinds of decisions and 64 levels; the oldest are dropped.
"""

from __future__ import annotations

from ..._core.values.decision import Decision
from ..values import Level, PolicyReport
from .tally import Tally

__all__ = ["Policies"]

_MAX_ITEMS = 500
_MAX_DECISIONS = 16
_MAX_LEVELS = 64
_FULLEST = 8
_NANO = 10**9

ItemKey = tuple[str, str, str]


class Policies:
    """The items of one process; its owner holds a lock around each use."""

    def __init__(self) -> None:
        self._items: dict[ItemKey, _Item] = {}

    def add(self, decision: Decision, by: tuple[str, ...], second: int) -> None:
        """Count a decision; `by` is `decision.by`, already masked."""
        key = decision.policy, decision.item, decision.kind
        item = self._items.get(key)
        if item is None:
            if len(self._items) >= _MAX_ITEMS:
                del self._items[next(iter(self._items))]
            item = self._items[key] = _Item()
        item.add(decision, by, second)

    def reports(self, second: int) -> list[PolicyReport]:
        """Return the items that have decided anything lately."""
        found = (item.report(key, second) for key, item in self._items.items())
        return [report for report in found if report.counts]


class _Item:
    __slots__ = ("_counts", "_levels", "currency")

    def __init__(self) -> None:
        self._counts: dict[str, Tally] = {}
        self._levels: dict[tuple[str, ...], Level] = {}
        self.currency = ""

    def add(self, decision: Decision, by: tuple[str, ...], second: int) -> None:
        name = decision.decision
        if name not in self._counts and len(self._counts) < _MAX_DECISIONS:
            self._counts[name] = Tally()
        if name in self._counts:
            self._counts[name].add(second)
        if decision.left is None or not decision.of:
            return
        self.currency = decision.currency
        unit = _NANO if decision.currency else 1
        self._levels.pop(by, None)  # the newest is the last
        if len(self._levels) >= _MAX_LEVELS:
            del self._levels[next(iter(self._levels))]
        self._levels[by] = Level(by, decision.of / unit, max(0, decision.left) / unit, second)

    def report(self, key: ItemKey, second: int) -> PolicyReport:
        counts = {name: tally.total(second) for name, tally in self._counts.items()}
        fullest = sorted(self._levels.values(), key=lambda level: level.left / level.of)
        return PolicyReport(
            *key,
            currency=self.currency,
            counts={name: count for name, count in counts.items() if count},
            levels=fullest[:_FULLEST],
        )
