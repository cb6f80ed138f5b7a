"""The header fields that tell a client about limits, in OpenAI's format, and `Retry-After`.

The official SDKs read `x-should-retry`, `retry-after-ms` and `retry-after`, in this order. They
wait as long as these say, so a long wait comes with the advice not to retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter

from ....exceptions import InsufficientQuota, RateLimitExceeded
from ...http.known_names import KnownNames
from ...limiting.bucket import Rate
from ...limiting.budget import Budget
from ...limiting.claims import Outcome
from ...limiting.item import Kind
from .applied import Applied

__all__ = [
    "Shown",
    "duration",
    "quota_refusal_of",
    "rate_limit_fields",
    "refusal_of",
    "with_rate_limit",
    "with_rate_limits",
]

Shown = Sequence[tuple[Applied, Outcome]]

_LONGEST_WAIT_US = 60_000_000
_LONGEST_TOLD_S = 3600.0
_SPREAD = 0.1
_NAME = itemgetter(0)
# By which providers tell what is left: OpenAI and most others, Anthropic, an IETF draft.
_FAMILIES = (b"x-ratelimit-", b"x-rate-limit-", b"anthropic-ratelimit-", b"ratelimit")
_is_of_a_limit = KnownNames(lambda name: name.startswith(_FAMILIES)).__getitem__
_NAMES = {
    kind: tuple(f"x-ratelimit-{part}-{kind}".encode() for part in ("limit", "remaining", "reset"))
    for kind in ("tokens", "requests")
}
_OWN = {kind: frozenset(names) for kind, names in _NAMES.items()}


def with_rate_limits(
    headers: list[tuple[bytes, bytes]], shown: Shown, own: frozenset[bytes]
) -> tuple[list[tuple[bytes, bytes]], frozenset[bytes]]:
    """Return a reply's fields with those of the mesh's limits instead of the provider's.

    The provider's tell what is left of its owner's quota. `own` are those that an inner layer of
    limits has added; they are returned with the ones that are added here.
    """
    for each, outcome in shown if len(shown) == 1 else _tightest(shown):
        if each.rate is not None:
            remaining_us = outcome.left
            headers, own = with_rate_limit(headers, each.rate, each.item.kind, remaining_us, own)
    return headers, own


def with_rate_limit(
    headers: list[tuple[bytes, bytes]],
    rate: Rate,
    kind: Kind,
    remaining_us: int,
    own: frozenset[bytes],
) -> tuple[list[tuple[bytes, bytes]], frozenset[bytes]]:
    """Return the same with the fields of one limit."""
    names, fields = _OWN[kind], _fields(rate, kind, remaining_us)
    if not any(map(_is_of_a_limit, map(_NAME, headers))):  # as of most providers
        return [*headers, *fields], names
    kept = [
        field
        for field in headers
        if not _is_of_a_limit(field[0]) or (field[0] in own and field[0] not in names)
    ]
    return [*kept, *fields], own | names


def _fields(rate: Rate, kind: Kind, remaining_us: int) -> tuple[tuple[bytes, bytes], ...]:
    limit, remaining, reset = _NAMES[kind]
    until_us = rate.capacity_us - remaining_us
    return (
        (limit, rate.written),
        (
            remaining,
            b"%d" % (remaining_us * rate.amount // rate.period_us if remaining_us > 0 else 0),
        ),
        # Most are soon full again.
        (reset, b"%dms" % -(-until_us // 1000) if 0 < until_us <= 999_000 else duration(until_us)),
    )


def rate_limit_fields(shown: Shown) -> list[tuple[bytes, bytes]]:
    """Return the fields of the limit of each kind of which the smallest share is left."""
    return [
        field
        for each, outcome in _tightest(shown)
        if each.rate is not None
        for field in _fields(each.rate, each.item.kind, outcome.left)
    ]


def _tightest(shown: Shown) -> Shown:
    """Return the limit of each kind of which the smallest share is left."""
    tightest: dict[str, tuple[float, Applied, Outcome]] = {}
    for each, outcome in shown:
        if each.rate is not None:
            kind: str = each.item.kind
            share = outcome.left / each.rate.capacity_us
            if kind not in tightest or share < tightest[kind][0]:
                tightest[kind] = share, each, outcome
    return [(each, outcome) for _, each, outcome in tightest.values()]


def refusal_of(shown: Shown, drawn: float) -> RateLimitExceeded:
    """Return the error for a call that the limits have refused: of the longest wait.

    Args:
        shown: the limits, with what each has said.
        drawn: from 0 to 1. Up to a tenth more than the wait is told, so that clients that are
            refused together do not come back together.
    """
    each, outcome = max(shown, key=lambda pair: pair[1].wait_us)
    rate, longest_us = each.rate, outcome.wait_us
    wait_us = longest_us + int(longest_us * _SPREAD * drawn)
    seconds = -(-wait_us // 1_000_000)
    reason = "are running" if rate is None else f"of each {_seconds(rate.period_us)} are used up"
    amount = each.of if rate is None else rate.amount
    kind: str = "requests" if rate is None else each.item.kind
    headers = {
        "retry-after": str(max(1, seconds)),
        "retry-after-ms": str(-(-wait_us // 1000)),
        **{name.decode(): value.decode() for name, value in rate_limit_fields(shown)},
    }
    if longest_us > _LONGEST_WAIT_US:
        headers["x-should-retry"] = "false"
    return RateLimitExceeded(
        f"{each.item.title}: the {amount} {kind} {reason}; try again in {max(1, seconds)} s",
        headers=headers,
    )


def quota_refusal_of(budget: Budget, now: float) -> InsufficientQuota:
    """Return the error for a call that a budget has refused; how much it was is not told."""
    ends_at = budget.calendar.window(now).ends_at
    headers = {"x-should-retry": "false"}
    if (wait_s := ends_at - now) <= _LONGEST_TOLD_S:
        headers["retry-after"] = str(max(1, -int(-wait_s // 1)))
    until = datetime.fromtimestamp(ends_at, UTC).isoformat(timespec="minutes")
    return InsufficientQuota(f"{budget.title} is used up until {until}", headers=headers)


def duration(time_us: int) -> bytes:
    """Write a time as OpenAI does, in Go's format: `12ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = -(-time_us // 1000)
    if milliseconds < 1000:
        return b"%dms" % milliseconds if milliseconds > 0 else b"0s"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = (b"%.3f" % (milliseconds / 1000)).rstrip(b"0").rstrip(b".") + b"s"
    if hours:
        return b"%dh%dm%b" % (hours, minutes, seconds)
    return b"%dm%b" % (minutes, seconds) if minutes else seconds


def _seconds(time_us: int) -> str:
    return f"{time_us / 1_000_000:g} s"
