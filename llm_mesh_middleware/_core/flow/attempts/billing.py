"""The bill of one attempt."""

from __future__ import annotations

from ...pricing.charge import Charge
from ...provider.upstream import Upstream
from ...values.usage import Usage

__all__ = ["charge_for"]


def charge_for(
    upstream: Upstream, attempt: int, requested: str | None, returned: str | None, usage: Usage
) -> Charge:
    """Return the charge for an attempt, by the price of the requested or else the returned model.

    Args:
        upstream: the provider.
        attempt: the number of the attempt.
        requested: the requested model.
        returned: the model that the response names.
        usage: the tokens that the response reports.
    """
    provider, model, prices = upstream.identity.name, requested or returned, upstream.prices
    price = prices.find(requested, returned)
    amount = None if price is None else price.amount(usage)
    currency = None if price is None or amount is None else price.currency
    return Charge(attempt, provider, model, usage, amount, currency, bool(prices))
