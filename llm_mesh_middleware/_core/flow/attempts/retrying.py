"""Retry budgets of routes, and the `Retry-After` of providers."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from ...values.headers import Headers

__all__ = ["RetryBudget", "retry_after_s"]


class RetryBudget:
    """Limits extra attempts to a share of a route's requests, to prevent retry storms.

    Each request earns `share` of an attempt, up to `max_earned`; in addition, `reserve` attempts
    per second are free, so that routes with little traffic can retry too.
    """

    __slots__ = ("_free", "_most", "_requests", "reserve", "share")

    def __init__(self, share: float = 0.2, reserve: int = 3, max_earned: int = 20) -> None:
        self.share = share
        self.reserve = reserve
        self._most = max_earned / share
        self._requests = 0.0  # requests whose share is not spent
        self._free: deque[float] = deque(maxlen=reserve)  # when the last free ones were taken

    def earn(self) -> None:
        """Record a request."""
        if self._requests < self._most:
            self._requests += 1.0

    def spend(self, now: float) -> bool:
        """Spend one attempt, if one is left at `now`; return whether it was."""
        price = 1.0 / self.share
        if self._requests >= price:
            self._requests -= price
            return True
        if len(self._free) < self.reserve or now - self._free[0] >= 1.0:
            self._free.append(now)
            return True
        return False


# OpenAI's format of the time until a limit is reset: `1s`, `6m0s`, `20ms`, `1h2m3.5s`.
_RESET = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_MAX_HEADER = 64
_REMAINING = ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens")
_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")


def retry_after_s(headers: Headers, wall_clock: Callable[[], float]) -> float | None:
    """Return how many seconds the provider asks to wait; None if it does not say.

    `retry-after-ms` overrides `retry-after` (seconds or a date, RFC 9110 10.2.3), which overrides
    the resets of exhausted rate limits.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value, wall_clock)
    if seconds is not None:
        return seconds
    resets = [
        _reset(headers.get(reset))
        for remaining, reset in zip(_REMAINING, _RESETS, strict=True)
        if headers.get(remaining) in (None, "0")
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _number(value: str | None) -> float | None:
    if not value or len(value) > _MAX_HEADER:
        return None
    return float(value) if re.fullmatch(r"\d+(?:\.\d+)?", value, re.ASCII) else None


def _until(date: str | None, wall_clock: Callable[[], float]) -> float | None:
    if not date or len(date) > _MAX_HEADER:
        return None
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:  # asctime's format and -0000 also mean UTC
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - wall_clock())
    except (ValueError, OverflowError):
        return None


def _reset(value: str | None) -> float | None:
    if not value or len(value) > _MAX_HEADER:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    match = _RESET.fullmatch(value)
    if match is None:
        return None
    hours, minutes, seconds_text, milliseconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds_text + milliseconds / 1000
