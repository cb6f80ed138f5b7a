"""The remaining rate limits of a provider, from the header fields of its responses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from ..values.headers import Headers

__all__ = ["Quota"]

# Fields of the limit, its rest and its reset; OpenAI's, Azure's, then Anthropic's.
_FIELDS = tuple(
    (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")
    for kind in ("requests", "tokens")
) + tuple(
    (f"{stem}-limit", f"{stem}-remaining", f"{stem}-reset")
    for stem in (
        "anthropic-ratelimit-requests",
        "anthropic-ratelimit-tokens",
        "anthropic-ratelimit-input-tokens",
        "anthropic-ratelimit-output-tokens",
    )
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESET_S = 60.0  # the default: limits are per minute


class _Remaining(msgspec.Struct, frozen=True, gc=False):
    limit: int
    remaining: int
    seen_at: float
    reset_at: float

    def share(self, now: float, in_flight: int) -> float:
        """Return the remaining share of the limit; it refills evenly until the reset."""
        span = self.reset_at - self.seen_at
        back = 1.0 if span <= 0 else min(1.0, (now - self.seen_at) / span)
        remaining = self.remaining + (self.limit - self.remaining) * back - in_flight
        return min(1.0, max(0.0, remaining / self.limit))


class Quota:
    """The remaining limits of one endpoint; values are replaced as a whole, so it needs no lock."""

    __slots__ = ("_remaining",)

    def __init__(self) -> None:
        self._remaining: dict[str, _Remaining] = {}

    def learn(self, headers: Headers, now: float, wall_clock: Callable[[], float]) -> None:
        """Update the limits from the fields of a response."""
        found = {}
        for limit_field, remaining_field, reset_field in _FIELDS:
            limit, remaining = _count(headers, limit_field), _count(headers, remaining_field)
            if limit and remaining is not None:
                reset_s = _seconds(headers.get(reset_field), wall_clock)
                found[limit_field] = _Remaining(limit, min(remaining, limit), now, now + reset_s)
        if found:
            self._remaining = {**self._remaining, **found}

    def remaining(self, now: float, in_flight: int) -> float | None:
        """Return the smallest share of a limit that remains, or None if none is known.

        Args:
            now: the time.
            in_flight: calls in flight, which the provider may not have counted yet.
        """
        known = self._remaining
        if not known:
            return None
        return min(
            remaining.share(now, in_flight if "requests" in name else 0)
            for name, remaining in known.items()
        )


def _count(headers: Headers, name: str) -> int | None:
    """Return a count; None for -1, which Azure sends for unknown."""
    text = headers.get(name)
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 15:
        return None
    return int(text)


def _seconds(text: str | None, wall_clock: Callable[[], float]) -> float:
    """Return the time until a reset: `6m0s`, `120ms`, seconds, or a date (RFC 3339)."""
    if not text or len(text) > 40:
        return _RESET_S
    try:
        if "T" in text:
            return max(0.0, datetime.fromisoformat(text).timestamp() - wall_clock())
        return _duration(text)
    except (ValueError, KeyError, OverflowError):
        return _RESET_S


def _duration(text: str) -> float:
    total, number, unit = 0.0, "", ""
    for char in text + "0":
        if char in "0123456789." and unit:
            total += float(number) * _UNITS[unit]
            number, unit = "", ""
        if char in "0123456789.":
            number += char
        else:
            unit += char
    return total if total or number == "0" else float(text)
