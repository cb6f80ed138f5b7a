"""What a client is told of limits: fields in OpenAI's format, and when to come again.

The official SDKs read `x-should-retry`, `retry-after-ms` and `retry-after`, in this order. They
wait as long as these say, so a long wait comes with the advice not to retry.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....exceptions import RateLimitExceeded
from ...limiting.bucket import Rate
from ...limiting.claims import Outcome
from ...limiting.limit import Limit

__all__ = ["duration", "rate_limit_fields", "refusal_of", "with_rate_limits"]

Shown = Sequence[tuple[Limit, Rate | None, Outcome]]

_LONGEST_WAIT_US = 60_000_000
_PREFIX = b"x-ratelimit-"


def with_rate_limits(headers: list[tuple[bytes, bytes]], shown: Shown) -> list[tuple[bytes, bytes]]:
    """Return a reply's fields with those of the mesh's limits instead of the provider's.

    The provider's tell what is left of its owner's quota.
    """
    fields = rate_limit_fields(shown)
    if not fields:
        return headers
    kept = [field for field in headers if not field[0].startswith(_PREFIX)]
    kept += [(name.encode(), value.encode()) for name, value in fields.items()]
    return kept


def rate_limit_fields(shown: Shown) -> dict[str, str]:
    """Return the fields of the limit of each kind of which the smallest share is left."""
    tightest: dict[str, tuple[float, Rate, Outcome]] = {}
    for limit, rate, outcome in shown:
        if rate is None:
            continue
        share = outcome.left / rate.capacity_us
        if limit.kind not in tightest or share < tightest[limit.kind][0]:
            tightest[limit.kind] = share, rate, outcome
    fields = {}
    for kind, (_, rate, outcome) in tightest.items():
        fields[f"x-ratelimit-limit-{kind}"] = str(rate.burst)
        fields[f"x-ratelimit-remaining-{kind}"] = str(max(0, rate.units(outcome.left)))
        fields[f"x-ratelimit-reset-{kind}"] = duration(rate.capacity_us - outcome.left)
    return fields


def refusal_of(shown: Shown) -> RateLimitExceeded:
    """Return the error for a call that the limits have refused: of the longest wait."""
    limit, rate, outcome = max(shown, key=lambda each: each[2].wait_us)
    wait_us = outcome.wait_us
    seconds = -(-wait_us // 1_000_000)
    told = "are running" if rate is None else f"of each {_seconds(rate.period_us)} are used up"
    amount = limit.slots if rate is None else rate.amount
    kind = "requests" if rate is None else limit.kind
    headers = {
        "retry-after": str(max(1, seconds)),
        "retry-after-ms": str(-(-wait_us // 1000)),
        **rate_limit_fields(shown),
    }
    if wait_us > _LONGEST_WAIT_US:
        headers["x-should-retry"] = "false"
    return RateLimitExceeded(
        f"limit {limit.name!r}: the {amount} {kind} {told}; try again in {max(1, seconds)} s",
        headers=headers,
    )


def duration(time_us: int) -> str:
    """Write a time as OpenAI does, in Go's format: `12ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = -(-max(0, time_us) // 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _seconds(time_us: int) -> str:
    return f"{time_us / 1_000_000:g} s"
