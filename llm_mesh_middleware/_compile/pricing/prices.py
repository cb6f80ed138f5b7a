"""Prices of manifests as values of the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from msgspec.structs import replace

from ..._core.pricing.prices import ModelPrice, Price, Rates
from ...config import ModelPrices, TokenPrices
from ..matches import string_test

__all__ = ["compile_price", "compile_prices", "nano"]

_RATES = Rates.__struct_fields__


def nano(amount: Decimal | None) -> int:
    """Return an amount in nano-units, rounded to the nearest."""
    return round((amount or 0) * 10**9)


def compile_prices(
    prices: Iterable[ModelPrices], complain: Callable[[int, str], None]
) -> tuple[ModelPrice, ...]:
    """Compile the entries of one provider.

    Args:
        prices: the entries.
        complain: called with the number of an entry whose regular expression cannot be used.
    """
    compiled = []
    for index, each in enumerate(prices):
        try:
            applies = _any_model if each.model is None else string_test(each.model)
        except ValueError as exc:
            complain(index, str(exc))
            continue
        compiled.append(ModelPrice(applies, compile_price(each)))
    return tuple(compiled)


def compile_price(prices: ModelPrices) -> Price:
    """Return the price of one entry; a tier inherits the prices that it omits."""
    rates = Rates(**_given(prices.per_million))
    by_threshold = sorted(prices.tiers, key=lambda tier: tier.above_input, reverse=True)
    tiers = tuple((tier.above_input, replace(rates, **_given(tier))) for tier in by_threshold)
    return Price(prices.currency, rates, tiers, nano(prices.per_request))


def _given(prices: TokenPrices) -> dict[str, int]:
    amounts = {name: getattr(prices, name) for name in _RATES}
    return {name: nano(amount) for name, amount in amounts.items() if amount is not None}


def _any_model(model: str) -> bool:
    """Return True."""
    return True
