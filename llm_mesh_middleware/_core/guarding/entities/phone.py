"""Telephone numbers, recognised by a + and separators, or by a word before them.

Digits alone are far more often order numbers, so they are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding
from ..view import View
from .card import digit_run_start

__all__ = ["Phone"]

_LONGEST = 56
# Each repetition consumes exactly one digit, so that matching takes linear time.
_INTERNATIONAL = re.compile(
    r"(?<![\w+])\+[1-9](?:[ .()-]{0,2}\d){7,14}(?![\w+]|[./-]\d|,\d)", re.ASCII
)
# Neither an area code nor an exchange begins with 0 or 1 (North American Numbering Plan).
_AMERICAN = re.compile(
    r"(?<![\w+./-])(?:\([2-9]\d\d\) ?|[2-9]\d\d([-.]))[2-9]\d\d[-.]\d{4}(?![\w+]|[./-]\d)", re.ASCII
)
_WORD = re.compile(
    r"(?i:\b(?:tel|telephone|telefon|phone|mobile|mobil|cell|call|fax|whatsapp|handy)"
    r"(?: number| no| nr| me at| me on| us at| us on)?)[.:]{0,2} {0,2}\Z",
    re.ASCII,
)
_WORD_LONGEST = 24
_NUMBER = re.compile(r"\(?0(?:[ /()-]{0,2}\d){6,12}(?![\w+]|[./-]\d)", re.ASCII)
_SHORTEST = 7
# What every number of the three kinds contains.
_DIGITS = re.compile(r"\+[1-9]|[0-9]{3}[-.][0-9]{4}|0(?:[ /()-]{0,2}[0-9]){6}")
_TAIL = re.compile(r"[0-9+(][0-9 ./()+,-]*+\Z")


class Phone:
    """International numbers, American ones, and national ones after a word such as `phone`."""

    longest, run, opened = _LONGEST, None, frozenset("+( ./),-")
    sign, tail = _DIGITS.pattern, _TAIL.pattern

    def find_in(self, view: View) -> list[Finding]:
        """Return each telephone number."""
        if not view.has_digits:
            return []
        spans = [*_international(view.text), *_american(view), *_named(view)]
        return [Finding(begin, end, "PHONE") for begin, end in spans]

    def held_from(self, text: str) -> int:
        """Return the start of the last digits, with the + or the bracket before them."""
        return digit_run_start(text, " -./()+,", _LONGEST, starts="(+")

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the last digits, unless there are enough for a number.

        A + or a bracket before them belongs to them.
        """
        if len(text) - begin >= _SHORTEST and _DIGITS.search(text, begin) is not None:
            return -1
        held = _TAIL.search(text, max(begin, len(text) - _LONGEST))
        return len(text) if held is None else held.start()


def _international(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("+")
    while at >= 0:
        match = _INTERNATIONAL.match(text, at)
        if match is not None:
            yield match.span()
        at = text.find("+", at + 1 if match is None else match.end())


def _american(view: View) -> Iterator[tuple[int, int]]:
    if b"000-0000" not in view.kinds and b"000.0000" not in view.kinds:
        return
    for match in _AMERICAN.finditer(view.text):
        if match[1] is None or match[0].count(match[1]) == 2:
            yield match.span()


def _named(view: View) -> Iterator[tuple[int, int]]:
    """Yield the numbers after words; they begin with a 0, which is quick to search for."""
    text, at = view.text, view.text.find("0")
    while at >= 0:
        begin = at - (text[at - 1 : at] == "(")
        match = None
        if _WORD.search(text, max(0, begin - _WORD_LONGEST), begin) is not None:
            match = _NUMBER.match(text, begin)
        if match is not None:
            yield match.span()
        at = text.find("0", at + 1 if match is None else match.end())
