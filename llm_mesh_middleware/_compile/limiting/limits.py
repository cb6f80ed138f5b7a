"""`LLMPolicy.spec.limits`: one limit for each of an item's tokens, requests and concurrency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..._core.limiting.bucket import Rate
from ..._core.limiting.item import Part
from ..._core.limiting.limit import TOTAL, Limit, Override, Weights
from ..._core.routing.matching import Match
from ...config import LimitItem, LimitOverride

__all__ = ["compile_limits", "compile_part"]

_MINUTE_S = 60.0

_COUNTS = {
    "total": TOTAL,
    "input": Weights(output=0, reasoning=0),
    "output": Weights(input=0, cache_read=0, cache_write=0),
    "uncached": Weights(cache_read=0),
}


def compile_limits(
    policy: str, item: LimitItem, when: tuple[Match, ...], matches: Sequence[Match]
) -> Iterator[Limit]:
    """Yield a limit for each of an item's `concurrency`, `requests` and `tokens`.

    Args:
        policy: namespace and name of the policy.
        item: the item.
        when: its compiled conditions.
        matches: the compiled conditions of its overrides.
    """
    overrides = list(zip(item.overrides, matches, strict=True))

    def limit(kind: str, **fields: object) -> Limit:
        return Limit(
            policy=policy,
            name=item.name,
            kind=kind,  # type: ignore[arg-type]
            by=tuple(map(compile_part, item.by)),
            when=when,
            overrides=tuple(_overrides(item, overrides, kind, is_rate="rate" in fields)),
            on_missing=item.on_missing or "share",
            on_store_failure=item.on_store_failure or "local",
            is_shadow=item.shadow,
            **fields,  # type: ignore[arg-type]
        )

    if item.concurrency is not None:
        yield limit("concurrency", slots=item.concurrency)
    if item.requests is not None:
        yield limit("requests", rate=_rate(item, item.requests))
    if item.tokens is not None:
        yield limit(
            "tokens",
            rate=_rate(item, item.tokens),
            rate_from=(item.tokens_from or "").partition(":")[2],
            weights=_weights(item),
            reserve=item.reserve or "auto",
        )


def compile_part(text: str) -> Part:
    """Return a part that requests are counted by; the consumer is an attribute that access sets."""
    kind, _, name = text.partition(":")
    return Part("attribute", "consumer") if kind == "consumer" else Part(kind, name)  # type: ignore[arg-type]


def _rate(item: LimitItem, amount: int) -> Rate:
    period_us = round((item.per or _MINUTE_S) * 1_000_000)
    return Rate(amount, period_us, item.burst or amount)


def _overrides(
    item: LimitItem,
    overrides: Iterable[tuple[LimitOverride, Match]],
    kind: str,
    *,
    is_rate: bool,
) -> Iterator[Override]:
    for override, match in overrides:
        amount: int | None = getattr(override, kind)
        if amount is None:
            continue
        if is_rate:
            burst = amount if item.burst is None else item.burst
            yield Override(match, Rate(amount, _rate(item, amount).period_us, burst))
        else:
            yield Override(match, slots=amount)


def _weights(item: LimitItem) -> Weights:
    if item.weights is None:
        return _COUNTS[item.count or "total"]
    stated = item.weights.model_dump(exclude_none=True)
    return Weights(**{name: round(1000 * weight) for name, weight in stated.items()})
