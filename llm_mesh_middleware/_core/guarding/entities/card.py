"""Card numbers: issuers' first digits and lengths, and Luhn's check digit.

Not cards: numbers that are part of longer ones, of names or of versions, and the numbers of
anything else, of which one in ten has a valid check digit but few an issuer's first digits.
"""

from __future__ import annotations

import re

from ..finding import Finding
from ..view import View

__all__ = ["Card", "digit_run_start", "has_luhn_digit"]

_LONGEST = 32
# Groups have one separator throughout, and no fifth group of four behind them. The look-behinds
# follow the first digit: the engine skips quickly to a first character, but not to a condition.
_NUMBER = re.compile(
    r"[2-6](?<![\w+#].)(?<!\w[-./#].)(?<!\d:.)(?:"
    r"\d{12,18}"
    r"|\d{3}([ .\u00a0-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3}(?!\d))?"
    r"|(?<=3)\d{3}([ .\u00a0-])\d{6}\2\d{4,5}"
    r")(?![\w]|[-./]\w|[ \u00a0-]\d{4})",
    re.ASCII,
)
_SHORTEST = 13
_GROUP = re.compile(r"[0-9]{4}")
_TAIL = re.compile(r"[0-9][0-9 ./\u00a0-]*+\Z")
_ZEROS = re.compile(rb"0*")
# (first digits, lengths): Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay,
# Maestro
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|5[1-5]\d{14}"
    r"|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?"
    r"|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14}(?:\d{1,3})?"
    r"|(?:50[18]\d|5[6-8]\d\d|6[37]\d\d)\d{8,15}"
)


def has_luhn_digit(digits: str) -> bool:
    """Return whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def digit_run_start(text: str, chars: str, longest: int, *, starts: str = "") -> int:
    """Return the start of the run of digits and `chars` at the end of the text.

    Args:
        text: the text so far.
        chars: the characters of a run besides digits.
        longest: how far to look back.
        starts: the ones of `chars` with which a run may begin, besides digits.
    """
    at = end = len(text)
    lowest = max(0, end - longest)
    start = end
    while at > lowest:
        char = text[at - 1]
        is_digit = "0" <= char <= "9"
        if not is_digit and char not in chars:
            break
        at -= 1
        if is_digit or char in starts:
            start = at
    return start


class Card:
    """Thirteen to nineteen digits, together or in the groups that are printed on cards."""

    longest, run, opened = _LONGEST, None, frozenset[str]()
    sign, tail = _GROUP.pattern, _TAIL.pattern

    def find_in(self, view: View) -> list[Finding]:
        """Return each card number; candidates begin with four digits."""
        found: list[Finding] = []
        if not view.has(b"0000"):
            return found
        kinds, text, at = view.kinds, view.text, 0
        while (begin := kinds.find(b"0000", at)) >= 0:
            match = _NUMBER.match(text, begin)
            at = match.end() if match is not None else _end_of_digits(kinds, begin)
            if match is not None and _is_valid(match[0]):
                found.append(Finding(begin, at, "CREDIT_CARD"))
        return found

    def held_from(self, text: str) -> int:
        """Return the start of the last digits; the text after them decides."""
        return digit_run_start(text, " -./\u00a0", _LONGEST)

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the last digits, unless there are enough for a number."""
        if len(text) - begin >= _SHORTEST and _GROUP.search(text, begin) is not None:
            return -1
        held = _TAIL.search(text, max(begin, len(text) - _LONGEST))
        return len(text) if held is None else held.start()


def _is_valid(number: str) -> bool:
    digits = "".join(filter(str.isdigit, number))
    has_issuer = _ISSUERS.fullmatch(digits) is not None
    return has_issuer and has_luhn_digit(digits) and len(set(digits)) > 1


def _end_of_digits(kinds: bytes, begin: int) -> int:
    match = _ZEROS.match(kinds, begin)
    return begin if match is None else match.end()
