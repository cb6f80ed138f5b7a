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
    is_listed = bool(upstream.prices)
    price = upstream.prices.find(asked, answered) if is_listed else None
    amount = None if price is None else price.amount(usage)
    return Charge(
        attempt=attempt,
        provider=upstream.provider,
        model=asked or answered,
        usage=usage,
        amount=amount,
        currency=None if price is None or amount is None else price.currency,
        is_listed=is_listed,
    )
