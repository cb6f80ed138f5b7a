"""The models of prices: `LLMProvider.spec.prices` and the file of `LLM_MESH_PRICES`."""

import re
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from .base import ListOf, StringMatch, Wire
from .spelling.money import Currency
from .spelling.quantity import Quantity

__all__ = ["ModelPrices", "PriceTier", "TokenPrices"]

# Nine places: a nano-unit is the smallest amount there is.
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"


def _read_amount(value: object) -> object:
    if isinstance(value, Decimal):
        value = format(value, "f")
    if not isinstance(value, str) or not re.fullmatch(_AMOUNT, value):
        raise ValueError('must be a decimal number in quotes, such as "0.30"')
    return Decimal(value)


_Amount = Annotated[
    Decimal,
    BeforeValidator(_read_amount),
    WithJsonSchema({"type": "string", "pattern": f"^{_AMOUNT}$"}),
]


class TokenPrices(Wire):
    """Prices of a million tokens. An unpriced class costs as much as the class that contains it."""

    input: _Amount | None = Field(default=None, description="Input. Default: unknown.")
    output: _Amount | None = Field(default=None, description="Output. Default: unknown.")
    cache_read: _Amount | None = Field(
        default=None, description="Input read from the provider's cache. Default: as input."
    )
    cache_write: _Amount | None = Field(
        default=None, description="Input written to the provider's cache. Default: as input."
    )
    reasoning: _Amount | None = Field(default=None, description="Reasoning. Default: as output.")
    input_audio: _Amount | None = Field(default=None, description="Audio in. Default: as input.")
    input_image: _Amount | None = Field(default=None, description="Images in. Default: as input.")
    cache_read_audio: _Amount | None = Field(
        default=None, description="Audio read from the provider's cache. Default: as cacheRead."
    )
    output_audio: _Amount | None = Field(default=None, description="Audio out. Default: as output.")
    output_image: _Amount | None = Field(
        default=None, description="Images out. Default: as output."
    )

    @model_validator(mode="after")
    def _some_price(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have at least one price")
        return self


class PriceTier(TokenPrices):
    """Prices of calls with a long input; unset ones are those of perMillion."""

    above_input: Quantity = Field(
        description="Tokens of input, cached ones included, above which these prices hold for all"
        " tokens of the call. Required."
    )

    @model_validator(mode="after")
    def _some_change(self) -> Self:
        if self.model_fields_set <= {"above_input"}:
            raise ValueError("must have at least one price in addition to aboveInput")
        return self


class ModelPrices(Wire):
    """The prices of a provider's model."""

    model: StringMatch | None = Field(
        default=None,
        description="Model, by the provider's name for it; the first entry that matches counts."
        " Default: any.",
    )
    currency: Currency = Field(
        default="USD", description="Currency of the prices (ISO 4217). Default: USD."
    )
    per_million: TokenPrices = Field(description="Prices of a million tokens. Required.")
    per_request: _Amount | None = Field(
        default=None, description="Price of each call in addition to its tokens. Default: nothing."
    )
    tiers: ListOf[PriceTier] = Field(
        default=(), description="Other prices for calls with a long input. Default: none."
    )

    @model_validator(mode="after")
    def _distinct_tiers(self) -> Self:
        if len({tier.above_input for tier in self.tiers}) < len(self.tiers):
            raise ValueError("must not have two tiers with the same aboveInput")
        return self
