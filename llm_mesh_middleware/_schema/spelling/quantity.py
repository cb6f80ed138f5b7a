"""Amounts as manifests write them: `60`, `100k`, `1M`, `2G`."""

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Quantity", "read_quantity"]

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_PATTERN = r"[0-9]{1,12}(?:k|M|G)?"
_QUANTITY = re.compile(r"([0-9]{1,12})(k|M|G)?")
_MOST = 10**12


def read_quantity(value: object) -> object:
    """Return a whole number from 1; the type check refuses what is neither text nor a number."""
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ValueError("must be a whole number, optionally followed by k, M or G")
        value = int(match[1]) * _UNITS[match[2] or ""]
    if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= _MOST:
        raise ValueError("must be from 1 to 1000G")
    return value


Quantity = Annotated[
    int,
    BeforeValidator(read_quantity),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_PATTERN}$"},
            ]
        }
    ),
]
