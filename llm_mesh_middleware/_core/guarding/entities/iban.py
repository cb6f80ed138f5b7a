"""International bank account numbers: a country's length, and the check by mod 97 (ISO 13616)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding

__all__ = ["Iban"]

_LENGTHS = {
    name: int(length)
    for length, names in {
        "15": "NO",
        "16": "BE",
        "18": "DK FO FI GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU XK MN",
        "21": "CR HR LI LV CH",
        "22": "BH BG GE DE IE ME RS GB VA",
        "23": "GI IL AE TL IQ OM SO",
        "24": "AD CZ MD PK RO SA SK ES SE TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI FR GR IT MC MR SM DJ",
        "28": "AL AZ BY DO GT HU LB NI PL CY SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for name in names.split()
}
# 34 characters, in groups of four.
_LONGEST = 44
# Found by its first check digit, because there are far fewer digits than letters.
_DIGITS = re.compile(r"\d(?<=[A-Za-z]{2}.)(?<![^\W_]...)\d(?=[ -]?[A-Za-z0-9])", re.ASCII)
# What may still become a number: a country, check digits, and groups behind them.
_HELD = re.compile(
    r"(?<![^\W_])[A-Za-z](?:[A-Za-z](?:\d(?:\d(?:[ -]?[A-Za-z0-9]){0,31}[ -]?)?)?)?\Z", re.ASCII
)


class Iban:
    """An account number, together or in groups of four."""

    def is_possible(self, shape: bytes) -> bool:
        """Return whether there are two letters and two digits."""
        return b"aa00" in shape

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each account number."""
        for digits in _DIGITS.finditer(text):
            start = digits.start() - 2
            length = _LENGTHS.get(text[start : start + 2].upper())
            if length is None:
                continue
            end = _end(text, start, length)
            if end and not _is_plain(text[end : end + 1]):
                number = text[start:end].replace(" ", "").replace("-", "").upper()
                if _is_valid(number):
                    yield Finding(start, end, "IBAN")

    def held_from(self, text: str) -> int:
        """Return where the last text begins that begins like an account number."""
        held = _HELD.search(text, max(0, len(text) - _LONGEST))
        return len(text) if held is None else held.start()


def _end(text: str, start: int, length: int) -> int:
    """Return the end of `length` letters and digits in one of the two forms; 0 if there is none."""
    mark = text[start + 4 : start + 5]
    if mark not in (" ", "-"):
        number = text[start : start + length]
        return start + length if len(number) == length and _is_plain(number) else 0
    at, left = start, length
    while left:
        group = text[at : at + min(4, left)]
        if len(group) != min(4, left) or not _is_plain(group):
            return 0
        at, left = at + len(group), left - len(group)
        if left:
            if text[at : at + 1] != mark:
                return 0
            at += 1
    return at


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _is_valid(number: str) -> bool:
    digits = "".join(str(int(char, 36)) for char in number[4:] + number[:4])
    return int(digits) % 97 == 1
