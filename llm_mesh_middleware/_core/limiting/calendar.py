"""The windows of budgets: days, weeks, months in a time zone, or a repeating duration.

A window's name is part of its budget's key, so nothing has to be reset when a window ends:

    day      2026-11-29          quarter  2026-Q4
    week     2026-W48            year     2026
    month    2026-11             36000 s  every 36000 s since 1970, by number
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from typing import ClassVar

import msgspec

from ..private import Discreet, Memory

__all__ = ["PERIODS", "Calendar", "Window"]


class Window(msgspec.Struct, frozen=True):
    """One window: its name, and when it begins and ends, in seconds since the epoch."""

    name: str
    begins_at: float
    ends_at: float


def _month(year: int, month: int) -> date:
    """Return the first day of a month; month 13 is the next January."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _week(day: date) -> tuple[str, date, date]:
    year, week, weekday = day.isocalendar()
    monday = day - timedelta(days=weekday - 1)
    return f"{year}-W{week:02}", monday, monday + timedelta(days=7)


def _quarter(day: date) -> tuple[str, date, date]:
    first = 3 * ((day.month - 1) // 3) + 1
    name = f"{day.year}-Q{(first + 2) // 3}"
    return name, _month(day.year, first), _month(day.year, first + 3)


# A day's window: its name, its first day, and the first day after it.
PERIODS: dict[str, Callable[[date], tuple[str, date, date]]] = {
    "day": lambda day: (day.isoformat(), day, day + timedelta(days=1)),
    "week": _week,
    "month": lambda day: (
        f"{day:%Y-%m}",
        _month(day.year, day.month),
        _month(day.year, day.month + 1),
    ),
    "quarter": _quarter,
    "year": lambda day: (f"{day:%Y}", date(day.year, 1, 1), date(day.year + 1, 1, 1)),
}


class Calendar(Discreet, frozen=True):
    """Consecutive windows: of a `period` in a zone, or of a number of seconds."""

    shown: ClassVar[tuple[str, ...]] = ("period", "zone")

    period: str | float
    zone: tzinfo
    _windows: Memory[str, Window] = msgspec.field(default_factory=Memory)

    def window(self, now: float) -> Window:
        """Return the window that contains a time; made once for all calls in it."""
        for window in self._windows.values():
            if window.begins_at <= now < window.ends_at:
                return window
        window = self._make(now)
        self._windows[""] = window
        return window

    def _make(self, now: float) -> Window:
        if not isinstance(self.period, str):
            number = int(now // self.period)
            return Window(str(number), number * self.period, (number + 1) * self.period)
        day = datetime.fromtimestamp(now, self.zone).date()
        name, first, following = PERIODS[self.period](day)
        return Window(name, self._midnight(first), self._midnight(following))

    def _midnight(self, day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()
