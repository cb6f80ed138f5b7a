"""The bill of one attempt."""

from __future__ import annotations

from ...pricing.charge import Charge
from ...provider.upstream import Upstream
from ...values.usage import Usage

__all__ = ["charge_for"]


def charge_for(
    upstream: Upstream, attempt: int, asked: str | None, answered: str | None, usage: Usage
) -> Charge:
    """Return what an attempt has cost: by the price of the model asked for, or that has answered.

    Args:
        upstream: who was asked.
        attempt: the number of the attempt.
        asked: the model that was asked for.
        answered: the model that the response names.
        usage: the tokens that the response counts.
    """
    provider, model, prices = upstream.identity.name, asked or answered, upstream.prices
    price = prices.find(asked, answered)
    amount = None if price is None else price.amount(usage)
    currency = None if price is None or amount is None else price.currency
    return Charge(attempt, provider, model, usage, amount, currency, bool(prices))
