"""Counts by second and histograms of one stream of events, in a fixed amount of memory.

A `Series` takes at most 12 KB: three counters for each of 300 seconds, and two histograms of 80
buckets for each of the last six slices of ten seconds, which are made when they are needed. Costs
take 300 bytes for each currency.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from .tally import Tally

__all__ = ["SECONDS", "Histogram", "Ring", "Series", "added", "quantile"]

SECONDS = 300

# Four buckets for each doubling, from 1 ms to 1,000 s: a bucket's middle is at most 9 % off.
_BUCKETS = 80
_PER_DOUBLING = 4
_SMALLEST_S = 0.001
_SLICES = 6
_SLICE_S = 10
_MAX_CURRENCIES = 4


class Ring:
    """Calls, errors and tokens of each of the last 300 seconds."""

    __slots__ = ("_columns", "_last", "_totals")

    def __init__(self) -> None:
        self._columns = tuple(array("Q", bytes(8 * SECONDS)) for _ in range(3))
        self._totals = [0, 0, 0]
        self._last = 0

    def add(self, second: int, calls: int = 0, errors: int = 0, tokens: int = 0) -> None:
        """Count at `second`; one that is longer ago than the ring is left out."""
        self._advance(second)
        if second <= self._last - SECONDS:
            return
        at = second % SECONDS
        for each, amount in enumerate((calls, errors, tokens)):
            self._columns[each][at] += amount
            self._totals[each] += amount

    def sums(self, second: int, window: int) -> tuple[int, int, int]:
        """Return the sums over the `window` whole seconds before `second`."""
        self._advance(second)
        first, end = (second - window) % SECONDS, second % SECONDS
        if first < end:
            calls, errors, tokens = (sum(column[first:end]) for column in self._columns)
        else:
            calls, errors, tokens = (sum(c[first:]) + sum(c[:end]) for c in self._columns)
        return calls, errors, tokens

    def whole(self, second: int) -> tuple[int, int, int]:
        """Return the sums over all whole seconds before `second`."""
        self._advance(second)
        at = second % SECONDS
        (of_calls, of_errors, of_tokens), (calls, errors, tokens) = self._columns, self._totals
        return calls - of_calls[at], errors - of_errors[at], tokens - of_tokens[at]

    def rows(self, second: int) -> list[tuple[int, int, int, int]]:
        """Return every whole second before `second`, the oldest first."""
        self._advance(second)
        # The oldest is behind the present one, which is left out.
        at = second % SECONDS
        columns = (column[at + 1 :] + column[:at] for column in self._columns)
        return list(zip(range(second - SECONDS + 1, second), *columns, strict=True))

    def _advance(self, second: int) -> None:
        """Clear the seconds since the last one; a late event is counted in its own second."""
        if second <= self._last:
            return
        for number in range(max(self._last + 1, second - SECONDS + 1), second + 1):
            at = number % SECONDS
            for each, column in enumerate(self._columns):
                self._totals[each] -= column[at]
                column[at] = 0
        self._last = second


class Histogram:
    """Durations of the last minute in buckets that grow by a fifth."""

    __slots__ = ("_slices",)

    def __init__(self) -> None:
        self._slices: dict[int, array[int]] = {}

    def add(self, second: int, *durations_s: float) -> None:
        """Count durations."""
        if not durations_s:
            return
        number = second // _SLICE_S
        counts = self._slices.get(number)
        if counts is None:
            self._forget(number)
            counts = self._slices[number] = array("I", bytes(4 * _BUCKETS))
        for duration_s in durations_s:
            counts[_bucket(duration_s)] += 1

    def counts(self, second: int) -> list[int]:
        """Return the buckets of the last minute; none if it is empty."""
        self._forget(second // _SLICE_S)
        return added(self._slices.values())

    def _forget(self, number: int) -> None:
        oldest = number - _SLICES + 1
        for each in [each for each in self._slices if each < oldest]:
            del self._slices[each]


def added(counts: Iterable[Sequence[int]]) -> list[int]:
    """Return the sum of histograms; of those that are not empty."""
    filled = [each for each in counts if each]
    if len(filled) == 1:
        return list(filled[0])
    return list(map(sum, zip(*filled, strict=True)))


def quantile(counts: Sequence[int], part: float) -> float | None:
    """Return the duration, in seconds, that `part` of those in a histogram do not exceed."""
    seen = list(accumulate(counts))
    if not seen or not seen[-1]:
        return None
    bucket = bisect_left(seen, seen[-1] * part)
    return float(_SMALLEST_S * 2.0 ** ((bucket + 0.5) / _PER_DOUBLING))


class Series:
    """The counts of a rule or an edge; its owner holds a lock around each use."""

    __slots__ = (
        "costs",
        "durations",
        "firsts",
        "ring",
        "sticky_missing",
        "used_at",
    )

    def __init__(self) -> None:
        self.ring = Ring()
        self.costs: dict[str, Tally] = {}
        self.durations = Histogram()
        self.firsts = Histogram()
        self.sticky_missing = 0
        self.used_at = 0

    def charge(self, second: int, currency: str, amount: int) -> None:
        """Count a cost in nano-units."""
        if currency not in self.costs and len(self.costs) < _MAX_CURRENCIES:
            self.costs[currency] = Tally()
        if currency in self.costs:
            self.costs[currency].add(second, amount)


def _bucket(duration_s: float) -> int:
    if duration_s <= _SMALLEST_S:
        return 0
    return min(int(math.log2(duration_s / _SMALLEST_S) * _PER_DOUBLING), _BUCKETS - 1)
