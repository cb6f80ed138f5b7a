"""The rhythm of one stream: its events over time, counted in a fixed number of bins.

25 ms each    |▂▂▁ ▂▂▂▁▂▂|            the first 1.2 s
50 ms each    |▃▁▃▂▃ ▂▃▁▂|            folded in pairs when it is longer
100 ms each   ...                     and again, as often as it takes
"""

from __future__ import annotations

from array import array

__all__ = ["Rhythm"]

_BINS = 48
_FIRST_WIDTH_S = 0.025


class Rhythm:
    """Counts the events of one stream; nothing is made for an event."""

    __slots__ = ("_at", "_begun_at", "_bins", "_until", "width_s")

    def __init__(self, begun_at: float) -> None:
        """`begun_at` is when the first bytes came, on the clock that `add` is given."""
        self._begun_at = begun_at
        self._bins = array("I", bytes(4 * _BINS))
        self.width_s = _FIRST_WIDTH_S
        self._at = 0
        self._until = begun_at + _FIRST_WIDTH_S

    def add(self, count: int, now: float) -> None:
        """Count `count` events at `now`, which is never before the last."""
        if now >= self._until:
            self._advance(now - self._begun_at)
        self._bins[self._at] += count

    def _advance(self, elapsed_s: float) -> None:
        """Go to the bin of a time since the first bytes."""
        at = int(elapsed_s / self.width_s)
        while at >= _BINS:
            self._fold()
            at >>= 1
        self._at = at
        self._until = self._begun_at + (at + 1) * self.width_s

    def _fold(self) -> None:
        bins = self._bins
        for at in range(_BINS // 2):
            bins[at] = bins[2 * at] + bins[2 * at + 1]
        for at in range(_BINS // 2, _BINS):
            bins[at] = 0
        self.width_s *= 2

    def bins(self) -> tuple[int, ...]:
        """Return the counts up to the last event."""
        counts = self._bins.tolist()
        while counts and not counts[-1]:
            counts.pop()
        return tuple(counts)
