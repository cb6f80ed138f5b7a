"""A sum over the last five minutes, in slices of ten seconds and a fixed amount of memory."""

from __future__ import annotations

from array import array

__all__ = ["Tally"]

_SLICES = 30
_SLICE_S = 10
_MAX = 1 << 53


class Tally:
    """One sum; its owner holds a lock around each use."""

    __slots__ = ("_last", "_slices")

    def __init__(self) -> None:
        self._slices = array("Q", bytes(8 * _SLICES))
        self._last = 0

    def add(self, second: int, amount: int = 1) -> None:
        """Add at `second`."""
        self._advance(second)
        at = second // _SLICE_S % _SLICES
        self._slices[at] = min(self._slices[at] + max(0, amount), _MAX)

    def total(self, second: int) -> int:
        """Return the sum."""
        self._advance(second)
        return sum(self._slices)

    def _advance(self, second: int) -> None:
        """Clear the slices since the last one."""
        now = second // _SLICE_S
        for number in range(max(self._last + 1, now - _SLICES + 1), now + 1):
            self._slices[number % _SLICES] = 0
        self._last = max(self._last, now)
