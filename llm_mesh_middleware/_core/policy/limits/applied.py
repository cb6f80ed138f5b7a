"""The limits and budgets that apply to a request, as claims on the store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ....exceptions import AccessDenied
from ...dialect import called_model
from ...flow.call import Call
from ...limiting.bucket import Rate
from ...limiting.budget import Budget
from ...limiting.claims import BucketClaim, Claim, Outcome, SlotClaim
from ...limiting.estimate import Estimate
from ...limiting.item import Item
from ...limiting.limit import Limit
from ...pricing.prices import Price
from ...provider.upstream import Upstream
from ...values.decision import Decision

__all__ = ["Applied", "applied", "prices_for"]

# How long a slot or a reservation outlives the longest call whose process has died.
_SLOT_GRACE_S = 10.0
_MONEY_GRACE_S = 60.0


class Applied(msgspec.Struct, frozen=True):
    """A limit or budget that a request is under: what it asks of the store for `units`.

    `values` are what the request has of each thing that is counted by, `of` is the most that there
    may be: tokens, requests, slots or nano-units.
    """

    item: Limit | Budget
    claim: Claim
    units: int
    rate: Rate | None
    of: int
    values: tuple[str | None, ...] = ()

    def decision(self, decision: str, outcome: Outcome | None = None) -> Decision:
        """Return the decision for observers, with the level if it is known."""
        item = self.item
        return Decision(
            item.policy,
            item.name,
            item.kind,
            decision,
            by=self.values,
            of=self.of,
            left=None if outcome is None else self.left(outcome),
            currency=item.currency if isinstance(item, Budget) else "",
        )

    def left(self, outcome: Outcome) -> int:
        """Return what is left, in the units of `of`."""
        return outcome.left if self.rate is None else self.rate.units(outcome.left)


def applied(
    items: Sequence[Item],
    call: Call,
    provider: str,
    estimate: Estimate,
    upstreams: Sequence[Upstream],
) -> list[Applied]:
    """Return what the items that hold for a request ask of the store.

    Args:
        items: limits and budgets.
        call: the request.
        provider: the one that an attempt is at; empty for what is asked before all attempts.
        estimate: the tokens that the request may take.
        upstreams: those that may serve it.

    Raises:
        AccessDenied: the request lacks a value that an item counts by.
    """
    found = []
    for item in items:
        if item.when and not item.holds(call.request):
            continue
        values = item.values(call.request, provider)
        if None in values and item.on_missing != "share":
            if item.on_missing == "deny":
                missing = item.by[values.index(None)]
                raise AccessDenied(
                    f"{item.title} counts by {missing}, which this request does not have"
                )
            continue
        if isinstance(item, Limit):
            found.append(_limit(item, call, values, estimate))
        elif isinstance(item, Budget):
            found.append(_budget(item, call, values, estimate, upstreams))
    return found


def _limit(limit: Limit, call: Call, values: tuple[str | None, ...], estimate: Estimate) -> Applied:
    key = limit.keys.get(values) or limit.key(values)
    rate = limit.rate if limit.is_one_rate else limit.rate_for(call.request)
    if rate is None:
        slots = limit.slots_for(call.request)
        hold_us = int((call.context.timeouts.request + _SLOT_GRACE_S) * 1e6)
        claim = SlotClaim(key, slots, hold_us, limit.is_shadow)
        return Applied(limit, claim, 1, None, slots, values)
    if limit.kind == "requests":
        units, need_us = 1, rate.unit_us
    else:
        units = limit.need(estimate)
        need_us = rate.cost_us(units)
    bucket = BucketClaim(key, need_us, rate.capacity_us, limit.is_shadow)
    return Applied(limit, bucket, units, rate, rate.burst, values)


def _budget(
    budget: Budget,
    call: Call,
    values: tuple[str | None, ...],
    estimate: Estimate,
    upstreams: Sequence[Upstream],
) -> Applied:
    amount = budget.amount_for(call.request)
    need = budget.need(estimate, prices_for(call.request.model, upstreams), amount)
    hold_us = int((call.context.timeouts.request + _MONEY_GRACE_S) * 1e6)
    key, now = budget.key(values), call.wall_clock()
    claim = budget.claim(key, need, amount, hold_us=hold_us, now=now)
    return Applied(budget, claim, need, None, amount, values)


def prices_for(model: str | None, upstreams: Sequence[Upstream]) -> list[Price]:
    """Return the known prices of a request's model, as each upstream would call it."""
    found = []
    for upstream in upstreams:
        price = upstream.prices.find(called_model(upstream, model))
        if price is not None:
            found.append(price)
    return found
