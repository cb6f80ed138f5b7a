"""Amounts of money as manifests write them: `500` or `"0.25"`, never a float."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

__all__ = ["Currency", "Money", "read_money"]

# Nine places, as amounts are counted in nano-units; the largest fits 64 bits.
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"


def read_money(value: object) -> object:
    """Return a decimal number above 0; without quotes, YAML would read a float."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('must be a whole number, or a decimal one in quotes, such as "0.50"')
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not re.fullmatch(_AMOUNT, text):
        raise ValueError("must be an amount above 0 and below a billion, such as 500")
    amount = Decimal(text)
    if not amount:
        raise ValueError("must be above 0")
    return amount


def _check_currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ValueError("must be a currency of three capitals such as USD")
    return value


Money = Annotated[
    Decimal,
    BeforeValidator(read_money),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_AMOUNT}$"},
            ]
        }
    ),
]
Currency = Annotated[str, AfterValidator(_check_currency)]
