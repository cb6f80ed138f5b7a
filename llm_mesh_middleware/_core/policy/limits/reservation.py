"""Reservations of a call or an attempt, which are settled exactly once, on every path.

tokens        the difference between used and reserved
slots         given back
requests      stay counted
money         the reservation ends, and what was spent is added

What was used is what providers report, of all attempts; if none does, it is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...flow.call import Call, Ending
from ...limiting.budget import Budget
from ...limiting.claims import (
    BucketChange,
    BudgetChange,
    BudgetClaim,
    Change,
    Reserved,
    Settle,
    SlotRelease,
)
from ...limiting.estimate import NO_TOKENS, Estimate
from ...limiting.limit import Limit, Weights
from ...pricing.charge import Charge
from ...provider.upstream import Upstream
from ...values.usage import Usage
from .applied import Applied, prices_for

__all__ = ["Reservation"]


class Reservation:
    """What one call, or one attempt at `provider`, has taken."""

    __slots__ = (
        "_call",
        "_estimate",
        "_first",
        "_is_local",
        "_provider",
        "_slot",
        "_taken",
        "_upstreams",
    )

    def __init__(
        self,
        call: Call,
        provider: str,
        estimate: Estimate,
        upstreams: Sequence[Upstream],
        taken: list[Applied],
        reserved: Reserved,
    ) -> None:
        self._call = call
        self._provider = provider
        self._estimate = estimate
        self._upstreams = upstreams
        self._taken = taken
        self._slot, self._is_local = reserved.slot, reserved.is_local
        self._first = len(call.account.charges)

    def settle(self, ending: Ending) -> None:
        """Correct what was reserved by what was used."""
        taken, self._taken = self._taken, []
        if not taken:
            return
        call, usage, charges = self._call, ending.usage, self._charges()
        changes = []
        for each in taken:
            change = self._change(each, ending, charges)
            if change is not None:
                changes.append(change)
        if usage is not None and self._estimate is not NO_TOKENS:
            call.learned.learn((call.rule, call.request.model or ""), self._estimate, usage)
        if changes:
            call.store.settle(Settle(tuple(changes), self._is_local))

    def release(self) -> None:
        """Give everything back: the attempt came to nothing."""
        self.settle(Ending(None))

    def _charges(self) -> list[Charge]:
        """Return what providers have counted since the reservation, as far as it is for them."""
        charges, provider = self._call.account.charges[self._first :], self._provider
        if not provider:
            return charges
        return [each for each in charges if each.provider == provider]

    def _change(self, each: Applied, ending: Ending, charges: list[Charge]) -> Change | None:
        claim, item, rate = each.claim, each.item, each.rate
        if rate is not None and isinstance(item, Limit):
            used = self._used(item.weights, ending, charges)
            if self._call.account.is_heard:
                self._call.account.settled(each.decision("allowed"), each.units, used)
            change_us = rate.cost_us(used) - rate.cost_us(each.units)
            return BucketChange(claim.key, change_us) if change_us else None
        if isinstance(claim, BudgetClaim) and isinstance(item, Budget):
            spent = self._spent(item, ending, charges)
            return BudgetChange(claim.key, self._slot, each.units, spent, claim.keep_us)
        return SlotRelease(claim.key, self._slot)

    def _used(self, weights: Weights, ending: Ending, charges: list[Charge]) -> int:
        if len(charges) == 1:
            return weights.used(charges[0].usage)
        if charges:
            return sum(weights.used(charge.usage) for charge in charges)
        usage = ending.usage or self._guess(ending)
        return 0 if usage is None else weights.used(usage)

    def _spent(self, budget: Budget, ending: Ending, charges: list[Charge]) -> int:
        """Return the cost in the budget's currency; others are for other budgets."""
        if charges:
            currency = budget.currency
            return sum(c.amount for c in charges if c.amount and c.currency == currency)
        usage = self._guess(ending)
        if usage is None:
            return 0
        asked = [up for up in self._upstreams if up.provider == ending.provider]
        return budget.cost(usage, prices_for(self._call.request.model, asked))

    def _guess(self, ending: Ending) -> Usage | None:
        """Return what a call has about used of which no provider has reported anything."""
        estimate = self._estimate
        if ending.has_reply:  # an event is about one token
            output = estimate.output if ending.events is None else ending.events
            return Usage(estimate.input, output)
        return Usage(estimate.input, 0) if ending.is_cut_off else None
