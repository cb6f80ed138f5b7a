"""Reservations of a call or an attempt, which are settled exactly once, on every path.

tokens        the difference between used and reserved
slots         given back
requests      stay counted
money         the reservation ends, and what was spent is added

What was used is what providers report, of all attempts; if none does, it is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from ...flow.call import Account, Call
from ...limiting.budget import Budget
from ...limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Settle,
    SlotRelease,
)
from ...limiting.estimate import NO_TOKENS, Estimate, Past
from ...limiting.limit import Limit, Weights
from ...provider.upstream import Upstream
from ...values.usage import Usage
from .applied import Applied, prices_for

__all__ = ["Reservation", "past_of", "used_tokens"]


class Reservation(msgspec.Struct):
    """What one call, or one attempt at `provider`, has taken.

    `first` is how many charges the call had before; `slot` and `is_local` are the store's.
    """

    call: Call
    provider: str
    estimate: Estimate
    upstreams: Sequence[Upstream]
    taken: Sequence[Applied]
    slot: str
    is_local: bool
    first: int

    def settle(self, ending: Account | None) -> None:
        """Correct what was reserved by what was used; None: nothing but what was counted."""
        taken, self.taken = self.taken, ()
        if not taken:
            return
        call, usage = self.call, None if ending is None else ending.usage
        usages, changes = call.account.counted(self.first, self.provider), []
        for each in taken:
            change = self._change(each, ending, usages)
            if change is not None:
                changes.append(change)
        if usage is not None and self.estimate is not NO_TOKENS:
            past_of(call).learn(self.estimate.uncorrected, usage)
        if changes:
            call.state.store.settle(Settle(tuple(changes), self.is_local))

    def release(self) -> None:
        """Give everything back: the attempt came to nothing."""
        self.settle(None)

    def _change(
        self, each: Applied, ending: Account | None, usages: Sequence[Usage]
    ) -> Change | None:
        claim, item, rate = each.claim, each.item, each.rate
        if rate is not None and isinstance(claim, BucketClaim):
            weights = cast(Limit, item).weights
            used = used_tokens(weights, ending, usages, self.estimate)
            if self.call.account.is_observed:
                self.call.account.settled(each.decision("allowed"), each.units, used)
            change_us = rate.cost_us(used) - claim.need_us
            return BucketChange(claim.key, change_us) if change_us else None
        if isinstance(claim, BudgetClaim) and isinstance(item, Budget):
            spent = self._charged(item) if usages else self._guessed(item, ending)
            return BudgetChange(claim.key, self.slot, each.units, spent, claim.keep_us)
        return SlotRelease(claim.key, self.slot)

    def _charged(self, budget: Budget) -> int:
        """Return what providers have charged in the budget's currency; the rest is for others."""
        currency, provider = budget.currency, self.provider
        return sum(
            charge.amount
            for charge in self.call.account.charges[self.first :]
            if charge.amount and charge.currency == currency
            if not provider or charge.provider == provider
        )

    def _guessed(self, budget: Budget, ending: Account | None) -> int:
        """Return about what a call has cost of which no provider has reported anything."""
        usage = None if ending is None else _guessed(ending, self.estimate)
        if ending is None or usage is None:
            return 0
        asked = [up for up in self.upstreams if up.provider == ending.provider]
        return budget.cost(usage, prices_for(self.call.request.model, asked))


def past_of(call: Call) -> Past:
    """Return what calls like this one have used."""
    return call.state.learned[call.context.rule.name, call.request.model or ""]


def used_tokens(
    weights: Weights, ending: Account | None, usages: Sequence[Usage], estimate: Estimate
) -> int:
    """Return what a call has used: what providers have counted, or else about as much."""
    if usages:
        return sum([weights.used(usage) for usage in usages])
    usage = None if ending is None else _guessed(ending, estimate)
    return 0 if usage is None else weights.used(usage)


def _guessed(ending: Account, estimate: Estimate) -> Usage | None:
    """Return what a call has about used of which no provider has reported anything."""
    if ending.has_reply:  # an event is about one token
        output = estimate.output if ending.events is None else ending.events
        return Usage(estimate.input, output)
    return Usage(estimate.input, 0) if ending.is_cut_off else None
