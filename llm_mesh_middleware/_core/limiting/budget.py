"""One budget of a policy, compiled: an amount of money for each window.

    reserve    need <= the rest of the window             the call is admitted
               need > the rest of the window              denied, warned of, or the next priority
    settle     the charges of the call replace the reservation, also if it failed
    window     a day, week, month, quarter, year or duration has passed: the amount is full again

Amounts are whole nano-units of the currency. The cost of a call is estimated by the highest price
of the backends that may serve it, since the backend is not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import msgspec

from ..pricing.prices import Price
from ..values.messages import ClientRequest
from ..values.usage import Usage
from .calendar import Calendar
from .claims import BudgetClaim
from .estimate import Estimate
from .item import Condition, Item

__all__ = ["Budget", "BudgetOverride"]

# A reservation is at most this fraction of a budget: requests without an output limit would
# otherwise use up a small one.
_LARGEST_SHARE = 20
# The spent amount is kept for a day after its window, for inspection of the store.
_KEEP_S = 86_400


class BudgetOverride(msgspec.Struct, frozen=True):
    """Another amount for requests that match."""

    match: Condition
    amount: int


class Budget(Item, frozen=True, kw_only=True):
    """An amount of money for each window. `warn_at` are fractions of it, the smallest first."""

    shown: ClassVar[tuple[str, ...]] = (*Item.shown, "amount", "currency", "calendar")

    amount: int
    currency: str
    calendar: Calendar
    warn_at: tuple[float, ...] = ()
    on_exceeded: Literal["deny", "warn", "fallback"] = "deny"
    is_for_priced_only: bool = False
    reserve: Literal["auto", "max", "none"] = "max"
    overrides: tuple[BudgetOverride, ...] = ()

    @property
    def is_soft(self) -> bool:
        """Whether a call is admitted even if the budget is used up."""
        return self.is_shadow or self.on_exceeded != "deny"

    def amount_for(self, request: ClientRequest) -> int:
        """Return the amount that applies to a request."""
        return next((o.amount for o in self.overrides if o.match.holds(request)), self.amount)

    def need(self, estimate: Estimate, prices: Iterable[Price], amount: int) -> int:
        """Return the amount to reserve, at least one nano-unit."""
        if self.reserve == "none":
            return 1
        output = estimate.max_output if self.reserve == "max" else estimate.output
        cost = self.cost(Usage(estimate.input, output), prices)
        return max(1, min(cost, amount // _LARGEST_SHARE))

    def cost(self, usage: Usage, prices: Iterable[Price]) -> int:
        """Return the highest cost of a call, by the prices in the budget's currency."""
        costs = (each.amount(usage) for each in prices if each.currency == self.currency)
        return max((cost for cost in costs if cost is not None), default=0)

    def claim(self, key: str, need: int, amount: int, *, hold_us: int, now: float) -> BudgetClaim:
        """Return the claim for the store; `key` is that of the budget, without a window."""
        window = self.calendar.window(now)
        keep_us = int((window.ends_at - now + _KEEP_S) * 1e6)
        return BudgetClaim(f"{key}:{window.name}", need, amount, hold_us, keep_us, self.is_soft)
