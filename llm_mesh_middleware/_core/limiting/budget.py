"""One budget of a policy, compiled: its amount of money for each window, and whose it is.

    reserve    need <= what is left of the window         the call is admitted
               need is more                               denied, warned of, or the next priority
    settle     the charges of the call replace the reservation, also if it failed
    window     a day, week, month, quarter, year or duration has passed: the amount is full again

Amounts are whole nano-units of the currency. What a call may cost is estimated by the highest price
of the backends that may serve it, since which one will is not known yet.
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

# A request without a limit of its own must not lock out a small budget.
_LARGEST_SHARE = 20
# What was spent is kept for a day after its window, for those who look at the store.
_KEEP_S = 86_400


class BudgetOverride(msgspec.Struct, frozen=True):
    """Another amount for requests that match."""

    match: Condition
    amount: int


class Budget(Item, frozen=True, kw_only=True):
    """An amount of money for each window. `warn_at` are parts of it, the smallest first."""

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
        """Return the amount that holds for a request."""
        return next((o.amount for o in self.overrides if o.match.holds(request)), self.amount)

    def need(self, estimate: Estimate, prices: Iterable[Price], amount: int) -> int:
        """Return what to reserve, at least the smallest amount there is."""
        if self.reserve == "none":
            return 1
        output = estimate.max_output if self.reserve == "max" else estimate.output
        cost = self.cost(Usage(estimate.input, output), prices)
        return max(1, min(cost, amount // _LARGEST_SHARE))

    def cost(self, usage: Usage, prices: Iterable[Price]) -> int:
        """Return what a call costs at most, by the prices in the budget's currency."""
        costs = (each.amount(usage) for each in prices if each.currency == self.currency)
        return max((cost for cost in costs if cost is not None), default=0)

    def claim(self, key: str, need: int, amount: int, *, hold_us: int, now: float) -> BudgetClaim:
        """Return what is asked of the store; `key` is that of the budget, without a window."""
        window = self.calendar.window(now)
        keep_us = int((window.ends_at - now + _KEEP_S) * 1e6)
        return BudgetClaim(f"{key}:{window.name}", need, amount, hold_us, keep_us, self.is_soft)
