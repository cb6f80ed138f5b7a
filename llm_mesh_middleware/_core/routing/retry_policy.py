"""The retry policy, `rules[].retry`: whether a retry or a fallback may follow an attempt."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

__all__ = ["RetryPolicy", "Verdict"]

_MAX_BACKOFF_S = 8.0


class Verdict(Enum):
    """What may follow an attempt."""

    FINAL = "final"
    ELSEWHERE = "elsewhere"  # at a backend that has not been tried
    ANYWHERE = "anywhere"  # there, or at the same one after a pause


class RetryPolicy(msgspec.Struct, frozen=True):
    """`rules[].retry`.

    `attempts` are those after the first. `codes` are status codes, `reasons` are codes or types of
    a provider's error object (`context_length_exceeded`). A pause is drawn between 0 and
    `backoff_s`, doubled with each attempt ("full jitter"). A provider's Retry-After is respected up
    to `max_retry_after_s`. After `hedge_after_s`, a slow call that is not a stream is sent to a
    second backend too.
    """

    attempts: int = 2
    codes: frozenset[int] = frozenset((429, 502, 503, 504, 529))
    reasons: frozenset[str] = frozenset()
    backoff_s: float = 0.25
    max_retry_after_s: float = 5.0
    hedge_after_s: float | None = None

    def verdict(self, status: int, reasons: frozenset[str]) -> Verdict:
        """Return what may follow a response, or a failure whose reply would have `status`.

        A rejection of the request itself (context too long) would repeat at the same backend.
        """
        if status in self.codes:
            return Verdict.ANYWHERE if status == 429 or status >= 500 else Verdict.ELSEWHERE
        return Verdict.ELSEWHERE if self.reasons & reasons else Verdict.FINAL

    def pause_s(self, attempt: int, random: Callable[[], float]) -> float:
        """Return the pause after attempt number `attempt`, counted from 1."""
        return random() * min(_MAX_BACKOFF_S, self.backoff_s * 2.0 ** (attempt - 1))
