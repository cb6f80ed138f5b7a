"""The time to the first byte of an endpoint's responses, for balancing: a peak EWMA.

a response is              the average
slower than the average    becomes that response, so that problems show immediately
faster                     moves towards it, depending on the time since the last response
missing                    decays, so that the endpoint is tried again
"""

from __future__ import annotations

from math import exp

__all__ = ["TIME_CONSTANT_S", "PeakLatency"]

TIME_CONSTANT_S = 10.0

# After this many time constants without a response, the average is discarded.
_FORGOTTEN_AFTER = 2.0


class PeakLatency:
    """One endpoint's average; its owner holds a lock around `add`."""

    __slots__ = ("_at", "_average")

    def __init__(self) -> None:
        self._average: float | None = None
        self._at = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Add a response."""
        elapsed, average = (now - self._at) / TIME_CONSTANT_S, self._average
        if average is None or elapsed > _FORGOTTEN_AFTER:
            self._average = seconds
        else:
            weight = exp(-elapsed)
            decayed = average * weight
            slower = seconds > decayed
            self._average = seconds if slower else decayed + (seconds - decayed) * (1.0 - weight)
        self._at = now

    def add_failure(self, seconds: float, now: float) -> None:
        """Add a call that failed after `seconds`: a quick failure is not a quick response."""
        self.add(max(seconds, 2.0 * (self.at(now) or 0.0)), now)

    def at(self, now: float) -> float | None:
        """Return the average, or None if nothing is known."""
        elapsed = (now - self._at) / TIME_CONSTANT_S
        if self._average is None or elapsed > _FORGOTTEN_AFTER:
            return None
        return self._average * exp(-elapsed)
