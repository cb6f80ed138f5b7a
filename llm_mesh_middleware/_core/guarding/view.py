"""A text as recognisers glance at it: passes in C that tell them where to look closely.

    text    Call 555-0199, sk-ab12...
    kinds   aaaa, 000-0000, aa-aa00...     a letter, 0 digit, all else as it is
    words   xxxx  xxxxxxxx  xxxxxxx...     x what keys and account numbers are made of

Searching either for a few bytes takes a hundredth of what a regular expression takes. Places are
those of the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

from .finding import Finding

__all__ = ["Entity", "View"]

_KINDS = bytes(
    ord("0") if chr(code).isdigit() else ord("a") if chr(code).isalpha() else code
    for code in range(128)
) + bytes(128)
_WORDS = bytes(
    ord("x" if code < 128 and (chr(code).isalnum() or chr(code) in "_-.") else " ")
    for code in range(256)
)
_DIGITS = "0123456789"


class View:
    """One text; what no recogniser asks for is not made."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def has_digits(self) -> bool:
        """Whether there is a digit at all."""
        text = self.text
        # Ten searches for one byte each are far cheaper than one for any of ten.
        return any(digit in text for digit in _DIGITS)

    def has(self, kinds: bytes) -> bool:
        """Return whether there are characters of these kinds, a digit among them, in a row."""
        # From its end a text is searched in half the time.
        return self.has_digits and self.kinds.rfind(kinds) >= 0

    @cached_property
    def kinds(self) -> bytes:
        """The kind of each character."""
        return self._data.translate(_KINDS)

    @cached_property
    def words(self) -> bytes:
        """The words of letters, digits, `_`, `-` and `.`."""
        return self._data.translate(_WORDS)

    @cached_property
    def _data(self) -> bytes:
        return self.text.encode("latin-1", "replace")

    def long_words(self, shortest: bytes) -> Iterator[tuple[int, int]]:
        """Yield where each word begins and ends, if it has the length `shortest` or more."""
        words, size, at = self.words, len(self.text), 0
        if words.rfind(shortest) < 0:
            return
        while (begin := words.find(shortest, at)) >= 0:
            at = words.find(b" ", begin)
            at = size if at < 0 else at
            yield begin, at


class Entity(Protocol):
    """A recogniser that glances at texts before it looks."""

    @property
    def longest(self) -> int:
        """How much of a text it ever holds back, in characters."""

    @property
    def sign(self) -> str:
        """An expression for what every finding without an @ or a private key has; may be empty."""

    @property
    def tail(self) -> str:
        """An expression for the numbers at its end that a text is held back for; may be empty."""

    @property
    def run(self) -> frozenset[str] | None:
        """What a text without digits is held back for at its end, besides letters.

        None if it is held back for nothing there, or for two letters at most.
        """

    @property
    def opened(self) -> frozenset[str]:
        """The last characters with which a text without digits may be held back for a number."""

    def find_in(self, view: View) -> list[Finding]:
        """Return what is found in a text."""

    def held_from(self, text: str) -> int:
        """Return where the text begins that may still become a finding, or a longer one."""

    def quiet_until(self, text: str, begin: int) -> int:
        """Return `held_from` at a glance, as `Recogniser` says."""
