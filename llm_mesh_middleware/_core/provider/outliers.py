"""Outlier detection: which results eject a provider, and which bring it back.

    state      leaves it by                                  to
    healthy    `consecutive_failures` of one kind in a row   ejected
    ejected    the end of the ejection                       half-open
    half-open  success of all `half_open_requests`           healthy
               failure of one of them                        ejected, for longer

Each ejection and each return begins an epoch. A call belongs to the epoch in which it began; its
result does not count in a later one, so one wave of failures is one ejection.

A streak of failures counts only if it has at least two different requests: failures of one repeated
request do not predict other requests. A failed connection always counts.

While no other backend can serve, calls are forced through an ejection. They neither lengthen nor
end it. Even those are refused while the provider would not respond: its last result was a failed
connection, or its Retry-After has not passed (`is_closed`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .outlier_detection import OutlierDetection

__all__ = ["HealthChange", "OutlierDetector", "Result", "CallFailure"]

Result = Literal["success", "failure", "unreachable", "rate_limited", "cancelled"]

# A provider that is down for days is ejected a thousand times; avoid a float overflow.
_MAX_DOUBLINGS = 64

# How long a success counts: meanwhile a fallback to the provider needs no retry budget.
_GOOD_FOR_S = 10.0
_NEVER = float("-inf")

# The share of its calls that a provider gets at the moment of its return.
_COLD = 0.1


class CallFailure(msgspec.Struct, frozen=True):
    """A failed call.

    `request` is a hash of its body, None if the body cannot be the cause. `cause` is for logs.
    """

    result: Result
    retry_after_s: float = 0.0
    request: int | None = None
    cause: str = ""


class HealthChange(msgspec.Struct, frozen=True):
    """An ejection for `seconds`, or a return after that time, with the reason."""

    is_ejected: bool
    seconds: float
    reason: str


class _Streak:
    """Failures of one kind without a success between them."""

    __slots__ = ("count", "is_of_several", "last_at", "request")

    def __init__(self) -> None:
        self.count = 0
        self.last_at = _NEVER
        self.request: int | None = None
        self.is_of_several = False

    def clear(self) -> None:
        self.count = 0
        self.is_of_several = False

    def add(self, request: int | None, now: float) -> None:
        if self.count == 0:
            self.request = request
        self.count += 1
        self.last_at = now
        self.is_of_several |= request is None or request != self.request


class OutlierDetector:
    """One provider's failures and ejections; the owner holds a lock around changes.

    `ejected_until` is None while the provider is healthy, which is looked up more often than asked.
    """

    __slots__ = (
        "_back_since",
        "_closed_until",
        "_detection",
        "_ejected_at",
        "_ejection_s",
        "_failures",
        "_good_at",
        "_is_unreachable",
        "_probes",
        "_probe_successes",
        "_rate_limits",
        "ejected_until",
        "ejections",
        "epoch",
    )

    def __init__(self, detection: OutlierDetection) -> None:
        self._detection = detection
        self.ejections = 0
        self.epoch = 0
        self._failures = _Streak()
        self._rate_limits = _Streak()
        self._good_at = _NEVER
        self._ejected_at = 0.0
        self.ejected_until: float | None = None
        self._ejection_s = 0.0
        self._back_since = _NEVER
        self._probes = 0  # under way or succeeded since the ejection ended
        self._probe_successes = 0
        self._is_unreachable = False
        self._closed_until = _NEVER

    @property
    def is_healthy(self) -> bool:
        """Whether the provider is neither ejected nor half-open."""
        return self.ejected_until is None

    @property
    def failures(self) -> int:
        """The number of failures in a row."""
        return self._failures.count

    @property
    def rate_limits(self) -> int:
        """The number of rate-limited responses in a row."""
        return self._rate_limits.count

    def admits(self, now: float) -> bool:
        """Return whether a call may be made: the provider is healthy, or may be probed."""
        if self.ejected_until is None:
            return True
        return now >= self.ejected_until and self._probes < self._detection.half_open_requests

    def admitted_in_s(self, now: float) -> float:
        """Return the rest of the ejection; 0 if there is none."""
        return 0.0 if self.ejected_until is None else max(0.0, self.ejected_until - now)

    def is_closed(self, now: float) -> bool:
        """Return whether even a forced call to an ejected provider would fail."""
        is_ejected = self.ejected_until is not None
        return is_ejected and (self._is_unreachable or now < self._closed_until)

    def opens_in_s(self, now: float) -> float:
        """Return the time until a closed provider can be called again."""
        if self._is_unreachable:
            return self.admitted_in_s(now)
        return max(0.0, self._closed_until - now)

    def is_known_good(self, now: float) -> bool:
        """Return whether the provider has succeeded recently and not failed since."""
        return now - self._good_at < _GOOD_FOR_S

    def warmth(self, now: float, warmup_s: float) -> float:
        """Return the fraction of its share to use, which grows to 1 after a return."""
        elapsed = now - self._back_since
        return 1.0 if elapsed >= warmup_s else max(_COLD, elapsed / warmup_s)

    def has_failed(self, now: float) -> bool:
        """Return whether a failure within the interval counts."""
        return any(
            streak.count and now - streak.last_at <= self._detection.interval_s
            for streak in (self._failures, self._rate_limits)
        )

    def begin(self, now: float) -> bool:
        """Record that a call begins; return whether it is a probe."""
        if self.ejected_until is None:
            return False
        is_probe = self.admits(now)
        self._probes += is_probe
        return is_probe

    def vouch(self, now: float) -> None:
        """Record that a response has begun."""
        self._good_at = now

    def succeed(self, is_probe: bool, now: float) -> HealthChange | None:
        """Record the success of a call from this epoch."""
        self._good_at = now
        self._is_unreachable, self._closed_until = False, _NEVER
        if self._failures.count or self._rate_limits.count:
            self._clear_streaks()
        if is_probe:
            self._probe_successes += 1
            if self._probe_successes == self._detection.half_open_requests:
                return self._return(now)
        elif self.ejections and self.is_healthy and now - self._back_since > self._ejection_s:
            self.ejections = 0  # healthy for longer than the last ejection: reset
        return None

    def cancel(self, is_probe: bool) -> None:
        """Record the end of a call that says nothing about the provider."""
        self._probes -= is_probe

    def fail(self, is_probe: bool, failure: CallFailure, now: float) -> HealthChange | None:
        """Record the failure of a call from this epoch."""
        self._good_at = _NEVER
        self._is_unreachable = failure.result == "unreachable"
        limit, retry_after_s = self._detection.consecutive_failures, failure.retry_after_s
        self._closed_until = max(
            self._closed_until, now + min(retry_after_s, self._detection.max_ejection_s)
        )
        if is_probe:
            return self._eject(failure, now, f"a probe failed: {failure.cause}")
        if limit == 0 or not self.is_healthy:  # ejection is disabled, or the call was forced
            return None
        streak = self._add(failure, now)
        if streak.count < limit or not streak.is_of_several:
            return None
        return self._eject(
            failure, now, f"{streak.count} failures in a row, the last: {failure.cause}"
        )

    def _add(self, failure: CallFailure, now: float) -> _Streak:
        is_limited = failure.result == "rate_limited"
        streak = self._rate_limits if is_limited else self._failures
        if now - streak.last_at > self._detection.interval_s:
            streak.clear()
        streak.add(None if failure.result == "unreachable" else failure.request, now)
        return streak

    def _eject(self, failure: CallFailure, now: float, reason: str) -> HealthChange:
        retry_after_s = failure.retry_after_s
        is_retry_after = failure.result == "rate_limited" and retry_after_s > 0
        seconds = retry_after_s if is_retry_after else self._doubled_s(retry_after_s)
        if self.is_healthy:
            self._ejected_at = now
        self._ejection_s = min(self._detection.max_ejection_s, seconds)
        self.ejected_until = now + self._ejection_s
        self._clear_streaks()
        self._begin_epoch()
        return HealthChange(True, self._ejection_s, reason)

    def _doubled_s(self, at_least_s: float) -> float:
        """Return the length of the next ejection of a provider that fails."""
        doubled = 2.0 ** min(self.ejections, _MAX_DOUBLINGS)
        self.ejections += 1
        return max(self._detection.base_ejection_s * doubled, at_least_s)

    def _return(self, now: float) -> HealthChange:
        self.ejected_until, self._back_since = None, now
        self._begin_epoch()
        return HealthChange(False, now - self._ejected_at, "its probes succeeded")

    def _clear_streaks(self) -> None:
        self._failures.clear()
        self._rate_limits.clear()

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self._probes = self._probe_successes = 0
