"""Telephone numbers, by what people write with them: a + and separators, or a word before them.

Digits alone are order numbers far more often, so they are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding
from .card import digit_run_start

__all__ = ["Phone"]

_LONGEST = 56
# One digit after another, so that a number is found in one way only and in linear time.
_INTERNATIONAL = re.compile(
    r"(?<![\w+])\+[1-9](?:[ .()-]{0,2}\d){7,14}(?![\w+]|[./-]\d|,\d)", re.ASCII
)
# Neither an area code nor an exchange begins with 0 or 1 (North American Numbering Plan).
_AMERICAN = re.compile(
    r"(?<![\w+./-])(?:\([2-9]\d\d\) ?|[2-9]\d\d([-.]))[2-9]\d\d[-.]\d{4}(?![\w+]|[./-]\d)", re.ASCII
)
_NAMED = re.compile(
    r"(?i:\b(?:tel|telephone|telefon|phone|mobile|mobil|cell|call|fax|whatsapp|handy)"
    r"(?: number| no| nr| me at| me on| us at| us on)?)[.:]{0,2} {0,2}"
    r"(?P<number>\(?0(?:[ /()-]{0,2}\d){6,12})(?![\w+]|[./-]\d)",
    re.ASCII,
)


class Phone:
    """International numbers, American ones, and national ones after a word such as `phone`."""

    def is_possible(self, shape: bytes) -> bool:
        """Return whether there are two digits and a separator, or a +."""
        return b"+" in shape or b"00" in shape

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each telephone number."""
        if "+" in text:
            for match in _INTERNATIONAL.finditer(text):
                yield Finding(match.start(), match.end(), "PHONE")
        for match in _AMERICAN.finditer(text):
            if match[1] is None or match[0].count(match[1]) == 2:
                yield Finding(match.start(), match.end(), "PHONE")
        if "0" in text:
            for match in _NAMED.finditer(text):
                yield Finding(match.start("number"), match.end(), "PHONE")

    def held_from(self, text: str) -> int:
        """Return where the last digits begin, with the + or the bracket before them."""
        return digit_run_start(text, " -./()+,", _LONGEST, starts="(+")
