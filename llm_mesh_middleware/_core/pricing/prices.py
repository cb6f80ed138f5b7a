"""Prices of a provider's models, in whole numbers.

A price is in nano-units of its currency per million tokens: "0.0375" is 37,500,000. A cost is the
sum over the classes of tokens, divided once, at the end. Every token is in exactly one class:

    input_tokens  = cache read (audio separately) + cache write + audio + image + the rest
    output_tokens = reasoning + audio + image + the rest

A class without a price of its own has the price of the class that contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..values.usage import Usage

__all__ = ["NO_PRICES", "ModelPrice", "Price", "PriceList", "Rates"]

_MILLION = 1_000_000
_MAX_MODELS = 1024  # a client may name any


class Rates(msgspec.Struct, frozen=True):
    """Nano-units per million tokens of each class; None for a class without its own price."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    cache_read_audio: int | None = None
    output_audio: int | None = None
    output_image: int | None = None

    def split(self, usage: Usage) -> Iterator[tuple[int, int | None]]:
        """Yield the tokens of each class with their rate; no token is in two classes."""
        kinds = dict(usage.modalities)
        cached = kinds.get("audio.cache_read.input_tokens", 0)
        audio = kinds.get("audio.input_tokens", 0) - cached
        image = kinds.get("image.input_tokens", 0) - kinds.get("image.cache_read.input_tokens", 0)
        read = usage.cache_read_tokens
        yield from _take(
            usage.input_tokens,
            self.input,
            (
                (min(cached, read), self.cache_read_audio),
                (read if self.cache_read_audio is None else read - cached, self.cache_read),
                (usage.cache_write_tokens, self.cache_write),
                (audio, self.input_audio),
                (image, self.input_image),
            ),
        )
        yield from _take(
            usage.output_tokens,
            self.output,
            (
                (usage.reasoning_tokens, self.reasoning),
                (kinds.get("audio.output_tokens", 0), self.output_audio),
                (kinds.get("image.output_tokens", 0), self.output_image),
            ),
        )


def _take(
    tokens: int, rate: int | None, classes: Sequence[tuple[int, int | None]]
) -> Iterator[tuple[int, int | None]]:
    """Yield `classes` that have a rate, then the rest; together they are `tokens`."""
    for count, own in classes:
        if own is not None and (taken := min(count, tokens)) > 0:
            tokens -= taken
            yield taken, own
    if tokens:
        yield tokens, rate


class Price(msgspec.Struct, frozen=True):
    """The price of one model.

    `tiers` are rates for calls with more input tokens than a threshold, the highest first; they
    apply to all tokens of such a call. `request` is added for each call, in nano-units.
    """

    currency: str
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    request: int = 0

    def amount(self, usage: Usage) -> int | None:
        """Return the cost in nano-units, or None if tokens of a class have no price."""
        rates = self.rates
        for above, others in self.tiers:
            if usage.input_tokens > above:
                rates = others
                break
        total = 0
        for tokens, rate in rates.split(usage):
            if rate is None:
                return None
            total += tokens * rate
        return self.request + (total + _MILLION // 2) // _MILLION


class ModelPrice(msgspec.Struct, frozen=True):
    """A price and the models that it is for."""

    applies: Callable[[str], bool]
    price: Price


def _find_nothing(model: str) -> None:
    """Return None: no other price is known."""


class PriceList:
    """The prices of one provider: the first entry that applies, then those of `more`."""

    __slots__ = ("_entries", "_known", "_more")

    def __init__(
        self,
        entries: Sequence[ModelPrice] = (),
        more: Callable[[str], Price | None] = _find_nothing,
    ) -> None:
        self._entries = tuple(entries)
        self._more = more
        self._known: dict[str, Price | None] = {}

    def __bool__(self) -> bool:
        """Return whether any model may have a price."""
        return bool(self._entries) or self._more is not _find_nothing

    def find(self, *models: str | None) -> Price | None:
        """Return the price of the first of `models` that has one."""
        for model in models:
            price = self._price(model or "")
            if price is not None:
                return price
        return None

    def _price(self, model: str) -> Price | None:
        try:
            return self._known[model]
        except KeyError:
            if len(self._known) >= _MAX_MODELS:
                self._known.clear()
            entry = next((each for each in self._entries if each.applies(model)), None)
            price = entry.price if entry is not None else self._more(model)
            self._known[model] = price
            return price


NO_PRICES = PriceList()
