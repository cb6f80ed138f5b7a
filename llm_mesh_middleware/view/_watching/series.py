"""Counts by second and histograms of one stream of events, in a fixed amount of memory.

A `Series` takes at most 12 KB: three counters for each of 300 seconds, and two histograms of 80
buckets for each of the last six slices of ten seconds, which are made when they are needed. Costs
take 300 bytes for each currency.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from .tally import Tally

__all__ = ["SECONDS", "Histogram", "Ring", "Series", "quantile"]

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

    __slots__ = ("_columns", "_last")

    def __init__(self) -> None:
        self._columns = tuple(array("Q", bytes(8 * SECONDS)) for _ in range(3))
        self._last = 0

    def add(self, second: int, calls: int = 0, errors: int = 0, tokens: int = 0) -> None:
        """Count at `second`."""
        if second > self._last:
            self._advance(second)
        at = second % SECONDS
        of_calls, of_errors, of_tokens = self._columns
        of_calls[at] += calls
        if errors:
            of_errors[at] += errors
        if tokens:
            of_tokens[at] += tokens

    def sums(self, second: int, window: int) -> tuple[int, int, int]:
        """Return the sums over the `window` whole seconds before `second`."""
        self._advance(second)
        first, end = (second - window) % SECONDS, second % SECONDS
        if first < end:
            calls, errors, tokens = (sum(column[first:end]) for column in self._columns)
        else:
            calls, errors, tokens = (sum(c[first:]) + sum(c[:end]) for c in self._columns)
        return calls, errors, tokens

    def rows(self, second: int) -> list[tuple[int, int, int, int]]:
        """Return every whole second before `second`, the oldest first."""
        self._advance(second)
        calls, errors, tokens = self._columns
        return [
            (each, calls[each % SECONDS], errors[each % SECONDS], tokens[each % SECONDS])
            for each in range(second - SECONDS + 1, second)
        ]

    def _advance(self, second: int) -> None:
        """Clear the seconds since the last one; a late event is counted in its own second."""
        if second <= self._last:
            return
        for each in range(max(self._last + 1, second - SECONDS + 1), second + 1):
            for column in self._columns:
                column[each % SECONDS] = 0
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
        if not self._slices:
            return []
        return [sum(counts) for counts in zip(*self._slices.values(), strict=True)]

    def _forget(self, number: int) -> None:
        oldest = number - _SLICES + 1
        for each in [each for each in self._slices if each < oldest]:
            del self._slices[each]


def quantile(counts: Sequence[int], part: float) -> float | None:
    """Return the duration, in seconds, that `part` of those in a histogram do not exceed."""
    wanted = sum(counts) * part
    if not wanted:
        return None
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return float(_SMALLEST_S * 2.0 ** ((bucket + 0.5) / _PER_DOUBLING))
    return None


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
