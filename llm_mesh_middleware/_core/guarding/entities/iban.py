"""International bank account numbers: a country's length, and the check by mod 97 (ISO 13616)."""

from __future__ import annotations

import re

from ..finding import Finding
from ..view import View

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
# What may still become a number: a country, check digits, and groups behind them.
_HELD = re.compile(
    r"(?<![^\W_])[A-Za-z](?:[A-Za-z](?:\d(?:\d(?:[ -]?[A-Za-z0-9]){0,31}[ -]?)?)?)?\Z", re.ASCII
)
_SHORTEST = 15
_BEGIN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
_ALNUM = b"a0"


class Iban:
    """An account number, together or in groups of four."""

    longest, run, opened = _LONGEST, None, frozenset[str]()
    sign, tail = _BEGIN.pattern, _HELD.pattern

    def find_in(self, view: View) -> list[Finding]:
        """Return each account number; it begins with two letters and two digits."""
        found: list[Finding] = []
        if not view.has(b"a00"):
            return found
        kinds, text, at = view.kinds, view.text, 0
        while (start := kinds.find(b"aa00", at)) >= 0:
            at = start + 2
            length = _LENGTHS.get(text[start:at].upper())
            if length is None or (start and kinds[start - 1] in _ALNUM):
                continue
            end = _end(text, start, length)
            if end and not _is_plain(text[end : end + 1]):
                number = text[start:end].replace(" ", "").replace("-", "").upper()
                if _is_valid(number):
                    found.append(Finding(start, end, "IBAN"))
        return found

    def held_from(self, text: str) -> int:
        """Return the start of the last text that could become an account number."""
        held = _HELD.search(text, max(0, len(text) - _LONGEST))
        return len(text) if held is None else held.start()

    def clear_until(self, text: str, begin: int) -> int:
        """Return where a number may begin, unless there are enough characters for one."""
        if len(text) - begin >= _SHORTEST and _BEGIN.search(text, begin) is not None:
            return -1
        held = _HELD.search(text, max(begin, len(text) - _LONGEST))
        return len(text) if held is None else held.start()


def _end(text: str, start: int, length: int) -> int:
    """Return the end of an account number in one of the two forms; 0 if there is none."""
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
