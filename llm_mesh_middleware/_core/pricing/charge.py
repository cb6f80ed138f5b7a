"""The charge for one response of a provider."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..values.usage import Usage

__all__ = ["Charge", "add_up", "format_amount", "format_costs"]

_NANO = 10**9


class Charge(msgspec.Struct, frozen=True, gc=False):
    """The tokens of one attempt, and their price.

    `amount` is in nano-units of `currency` (1,000,000,000 are 1 USD). Both are None if no price is
    known for the model; `is_listed` is false if the provider has no prices at all.
    """

    attempt: int
    provider: str
    model: str | None
    usage: Usage
    amount: int | None
    currency: str | None
    is_listed: bool = True


def add_up(charges: Iterable[Charge]) -> dict[str, int]:
    """Return the sum of the charges in each currency; those without a price are left out."""
    sums: dict[str, int] = {}
    for charge in charges:
        if charge.amount is not None and charge.currency is not None:
            sums[charge.currency] = sums.get(charge.currency, 0) + charge.amount
    return sums


def format_amount(amount: int) -> str:
    """Write nano-units as a decimal number: `0.000123`."""
    whole, rest = divmod(amount, _NANO)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def format_costs(charges: Iterable[Charge]) -> str:
    """Write the sums as a header field: `0.000123 USD`, with commas between currencies."""
    return ", ".join(f"{format_amount(sum_)} {unit}" for unit, sum_ in add_up(charges).items())
