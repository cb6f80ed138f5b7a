"""The header fields that tell a client about limits, in OpenAI's format, and `Retry-After`.

The official SDKs read `x-should-retry`, `retry-after-ms` and `retry-after`, in this order. They
wait as long as these say, so a long wait comes with the advice not to retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ....exceptions import InsufficientQuota, RateLimitExceeded
from ...http.response_headers import instead_of_quota, tells_quota
from ...limiting.bucket import Rate
from ...limiting.budget import Budget
from ...limiting.claims import Outcome
from ...limiting.item import Kind
from .applied import Applied

__all__ = [
    "Shown",
    "duration",
    "quota_fields",
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
    names, fields = _OWN[kind], quota_fields(rate, kind, remaining_us)
    if not own:
        return instead_of_quota([*headers], fields), names
    kept = [
        field
        for field in headers
        if not tells_quota(field[0]) or (field[0] in own and field[0] not in names)
    ]
    return [*kept, *fields], own | names


def quota_fields(rate: Rate, kind: Kind, remaining_us: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return the fields of one limit of which so much is left."""
    limit, remaining, reset = _NAMES[kind]
    until_ms = (rate.capacity_us - remaining_us + 999) // 1000
    left = remaining_us * rate.step // rate.step_us if remaining_us > 0 else 0
    return (
        (limit, rate.written),
        (remaining, b"%d" % left),
        (reset, _SHORT[until_ms] if until_ms < 1000 else _long(until_ms)),  # most are soon full
    )


def rate_limit_fields(shown: Shown) -> list[tuple[bytes, bytes]]:
    """Return the fields of the limit of each kind of which the smallest share is left."""
    return [
        field
        for each, outcome in _tightest(shown)
        if each.rate is not None
        for field in quota_fields(each.rate, each.item.kind, outcome.left)
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
    return _SHORT[max(milliseconds, 0)] if milliseconds < 1000 else _long(milliseconds)


_SHORT = (b"0s", *(b"%dms" % milliseconds for milliseconds in range(1, 1000)))


class _Fractions(dict[int, bytes]):
    """The thousandths of a second as they are written after it; made when first needed."""

    def __missing__(self, thousandths: int) -> bytes:
        made = self[thousandths] = (b".%03d" % thousandths).rstrip(b"0").rstrip(b".") + b"s"
        return made


_FRACTIONS = _Fractions()


def _long(milliseconds: int) -> bytes:
    seconds, thousandths = divmod(milliseconds, 1000)
    fraction = _FRACTIONS[thousandths]
    if seconds < 60:
        return b"%d%b" % (seconds, fraction)
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return b"%dm%d%b" % (minutes, seconds, fraction)
    return b"%dh%dm%d%b" % (*divmod(minutes, 60), seconds, fraction)


def _seconds(time_us: int) -> str:
    return f"{time_us / 1_000_000:g} s"
