"""Outlier detection: which results eject a provider, and which bring it back.

    state      leaves it by                                  to
    healthy    `consecutive_failures` of one kind in a row   ejected
    ejected    its time is over                              half-open
    half-open  every one of `half_open_requests` succeeds    healthy
               one of them fails                             ejected, for longer

Each ejection and each return begins an epoch. A call belongs to the epoch it was begun in; what it
brings later says nothing about a newer one, so that one wave of failures is one ejection.
"""

from __future__ import annotations

from typing import Literal

from ..values.outlier_detection import OutlierDetection

__all__ = ["OutlierDetector", "Result"]

Result = Literal["success", "failure", "rate_limited", "cancelled"]

# A provider that is dead for days is ejected a thousand times, and a float has an end.
_MAX_DOUBLINGS = 64

# How long a success vouches for a provider: a fallback to it then needs no retry budget.
_GOOD_FOR_S = 10.0
_NEVER = float("-inf")


class OutlierDetector:
    """One provider's failures and ejections; its owner holds a lock around what changes it."""

    __slots__ = (
        "_back_since",
        "_detection",
        "_ejected_until",
        "_ejection_s",
        "_failed_at",
        "_good_at",
        "_probes",
        "_proved",
        "ejections",
        "epoch",
        "failures",
    )

    def __init__(self, detection: OutlierDetection) -> None:
        self._detection = detection
        self.failures = {"failure": 0, "rate_limited": 0}
        self.ejections = 0
        self.epoch = 0
        self._failed_at = {"failure": 0.0, "rate_limited": 0.0}
        self._good_at = _NEVER
        self._ejected_until: float | None = None
        self._ejection_s = 0.0
        self._back_since = 0.0
        self._probes = 0  # under way or succeeded since the ejection ended
        self._proved = 0

    @property
    def is_healthy(self) -> bool:
        """Whether the provider is neither ejected nor half-open."""
        return self._ejected_until is None

    def admits(self, now: float) -> bool:
        """Return whether a call may be made: the provider is healthy, or may be probed."""
        if self._ejected_until is None:
            return True
        return now >= self._ejected_until and self._probes < self._detection.half_open_requests

    def admitted_in_s(self, now: float) -> float:
        """Return how long the ejection still lasts; 0 if there is none."""
        return 0.0 if self._ejected_until is None else max(0.0, self._ejected_until - now)

    def is_known_good(self, now: float) -> bool:
        """Return whether the provider has served lately and has not failed since."""
        return now - self._good_at < _GOOD_FOR_S

    def has_failed(self, now: float) -> bool:
        """Return whether a failure counts that is younger than the interval."""
        return any(
            count and now - self._failed_at[kind] <= self._detection.interval_s
            for kind, count in self.failures.items()
        )

    def begin_call(self) -> bool:
        """Note that a call begins; return whether it is a probe."""
        is_probe = self._ejected_until is not None
        self._probes += is_probe
        return is_probe

    def vouch(self, now: float) -> None:
        """Note that a response has begun."""
        self._good_at = now

    def judge(self, is_probe: bool, result: Result, now: float, retry_after_s: float) -> None:
        """Take the result of a call that was begun in this epoch."""
        if result == "success":
            self._succeeded(is_probe, now)
        elif result == "cancelled":
            self._probes -= is_probe
        else:
            self._good_at = _NEVER
            if is_probe or self._count(result, now) >= self._detection.consecutive_failures:
                is_wish = result == "rate_limited" and retry_after_s > 0
                self._eject(now, retry_after_s if is_wish else self._grown(retry_after_s))

    def _succeeded(self, is_probe: bool, now: float) -> None:
        self._good_at = now
        self.failures = {"failure": 0, "rate_limited": 0}
        if is_probe:
            self._proved += 1
            if self._proved == self._detection.half_open_requests:
                self._ejected_until, self._back_since = None, now
                self._begin_epoch()
        elif self.ejections and now - self._back_since > self._ejection_s:
            self.ejections = 0  # back for longer than it was out: the past is forgotten

    def _count(self, result: Literal["failure", "rate_limited"], now: float) -> int:
        if now - self._failed_at[result] > self._detection.interval_s:
            self.failures[result] = 0
        self._failed_at[result] = now
        self.failures[result] += 1
        return self.failures[result]

    def _grown(self, at_least_s: float) -> float:
        """Return the length of the next ejection of a provider that fails."""
        doubled = 2.0 ** min(self.ejections, _MAX_DOUBLINGS)
        self.ejections += 1
        return max(self._detection.base_ejection_s * doubled, at_least_s)

    def _eject(self, now: float, seconds: float) -> None:
        self._ejection_s = min(self._detection.max_ejection_s, seconds)
        self._ejected_until = now + self._ejection_s
        self.failures = {"failure": 0, "rate_limited": 0}
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self._probes = self._proved = 0
