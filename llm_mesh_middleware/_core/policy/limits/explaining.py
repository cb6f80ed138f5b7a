"""Explains limits and budgets: the values that count a request, and its reservation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ...limiting.budget import Budget
from ...limiting.estimate import Estimate, Past, estimate_tokens
from ...limiting.item import Item
from ...limiting.limit import Limit
from ...pricing.charge import format_amount
from ...provider.upstream import Upstream
from ...values.decision import ItemExplanation
from ...values.messages import ClientRequest
from .applied import prices_for

__all__ = ["explain_items"]

_MISSING = {"deny": "is refused with 403", "skip": "is not counted"}


def explain_items(
    items: Sequence[Item],
    upstreams: Sequence[Upstream],
    request: ClientRequest,
    provider: str,
    now: float,
) -> Iterator[ItemExplanation]:
    """Yield each item, with the estimate of a process that has just started."""
    estimate = estimate_tokens(request, Past())
    for item in items:
        values = item.values(request, provider)
        holds, text = False, "no `when` of it matches"
        if item.holds(request):
            missing = [str(part) for part, value in zip(item.by, values, strict=True) if not value]
            holds = not missing or item.on_missing == "share"
            text = _does(item, upstreams, request, estimate, now)
            if missing and not holds:
                text = f"the request has no {missing[0]}, so it {_MISSING[item.on_missing]}"
            elif missing:
                text = f"{text}; without {missing[0]} it shares with others that have none"
            if holds:
                text = f"{text}; key {item.key(values)}"
        yield ItemExplanation(item.policy, item.name, item.kind, holds, text, provider)


def _does(
    item: Item,
    upstreams: Sequence[Upstream],
    request: ClientRequest,
    estimate: Estimate,
    now: float,
) -> str:
    by = ", ".join("consumer" if str(part) == _CONSUMER else str(part) for part in item.by)
    about = f"for each {by}" if by else "for all together"
    shadow = " (shadow: refuses nothing)" if item.is_shadow else ""
    if isinstance(item, Budget):
        return f"{_budget(item, upstreams, request, estimate, now)} {about}{shadow}"
    if not isinstance(item, Limit):
        return about
    rate = item.rate_for(request)
    if rate is None:
        return f"{item.slots_for(request)} requests at a time {about}{shadow}"
    amount = f"{rate.amount} {item.kind} each {rate.period_us / 1e6:g} s"
    if item.kind == "tokens":
        amount = f"reserves {item.need(estimate)} of {amount}"
    return f"{amount} {about}{shadow}"


_CONSUMER = "attribute:consumer"


def _budget(
    budget: Budget,
    upstreams: Sequence[Upstream],
    request: ClientRequest,
    estimate: Estimate,
    now: float,
) -> str:
    amount, window = budget.amount_for(request), budget.calendar.window(now)
    prices = prices_for(request.model, upstreams)
    until = datetime.fromtimestamp(window.ends_at, UTC).isoformat(timespec="minutes")
    whole = f"{format_amount(amount)} {budget.currency} until {until}"
    if not any(price.currency == budget.currency for price in prices):
        denied = "is denied" if budget.is_for_priced_only else "does not count"
        return f"{whole}; the model has no price in {budget.currency} and {denied},"
    need = budget.need(estimate, prices, amount)
    return f"reserves {format_amount(need)} of {whole}"
