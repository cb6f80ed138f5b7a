"""Prices from the data that the library genai-prices contains."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice as LibraryPrice
from genai_prices.types import Provider, TieredPrices
from msgspec.structs import replace

from ..._core.pricing.prices import Price, Rates
from .prices import nano

__all__ = ["look_up"]

# Our name of a class of tokens, and the library's.
_NAMES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "input_audio": "input_audio_mtok",
    "cache_read_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "input_image": "input_image_mtok",
    "output_image": "output_image_mtok",
}
_PER_REQUEST = "requests_kcount"


def look_up(host: str) -> Callable[[str], Price | None] | None:
    """Return the function that finds a model's price at a provider host, None if it is unknown."""
    snapshot = get_snapshot()
    try:
        provider = snapshot.find_provider(None, None, f"https://{host}")
    except LookupError:
        return None
    return lambda model: _find(provider, model)


def _find(provider: Provider, model: str) -> Price | None:
    """Return today's price; it is read again with each new configuration."""
    found = provider.find_model(model) if model else None
    return None if found is None else _converted(found.get_prices(datetime.now(UTC)))


def _converted(price: LibraryPrice) -> Price | None:
    """Return the library's price in our form; it is in US dollars."""
    base: dict[str, int] = {}
    steps: dict[int, dict[str, int]] = {}
    for name, theirs in _NAMES.items():
        amount: Decimal | TieredPrices | None = getattr(price, theirs, None)
        if isinstance(amount, TieredPrices):
            base[name] = nano(amount.base)
            for tier in amount.tiers:
                steps.setdefault(tier.start, {})[name] = nano(tier.price)
        elif amount is not None:
            base[name] = nano(amount)
    if not base:
        return None
    rates = Rates(**base)
    tiers: list[tuple[int, Rates]] = []
    for start in sorted(steps):
        # A higher tier inherits what the one below it changed.
        tiers.insert(0, (start, replace(tiers[0][1] if tiers else rates, **steps[start])))
    thousand = getattr(price, _PER_REQUEST, None)
    request = nano(thousand) // 1000 if isinstance(thousand, Decimal) else 0
    return Price("USD", rates, tuple(tiers), request)
