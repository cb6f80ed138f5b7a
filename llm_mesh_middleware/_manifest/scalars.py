"""Resolve plain YAML scalars.

kubectl's rules where PyYAML's differ: `1e3` is a number, `12:30` and `2024-01-01` are text.
"""

from __future__ import annotations

import re
from contextlib import suppress

__all__ = ["resolve"]

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_NUMBER_START = frozenset("+-.0123456789")
_LONGEST_NUMBER = 100  # Python refuses to convert very long ones
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_RADIX = re.compile(r"([-+]?)0(?:(x)|(b)|o?)([0-9A-Fa-f_]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar without quotes; by default it is a string."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START or len(text) > _LONGEST_NUMBER:
        return text
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if match := _RADIX.fullmatch(text):
        sign, is_hex, is_binary, digits = match.groups()
        with suppress(ValueError):
            return int(sign + digits.replace("_", ""), 16 if is_hex else 2 if is_binary else 8)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text
