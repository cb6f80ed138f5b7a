"""A text as recognisers glance at it: passes in C that tell them where to look closely.

    text    Call 555-0199, sk-ab12...
    kinds   aaaa, 000-0000, aa-aa00...     a letter, 0 digit, all else as it is
    words   xxxx  xxxxxxxx  xxxxxxx...     x what keys and account numbers are made of

Searching either for a few bytes takes a hundredth of what a regular expression takes. Places are
those of the text.
"""

from __future__ import annotations

from collections.abc import Iterator
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


class View:
    """One text; what no recogniser asks for is not made.

    `has_digits`: there is a digit at all. `is_plain`: there is nothing that any finding has.
    """

    __slots__ = ("_data", "_kinds", "_words", "has_digits", "is_plain", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # Ten searches for one character each are far cheaper than one for any of ten, and a
        # generator would cost more than these.
        self.has_digits = has_digits = (
            "0" in text
            or "1" in text
            or "2" in text
            or "3" in text
            or "4" in text
            or "5" in text
            or "6" in text
            or "7" in text
            or "8" in text
            or "9" in text
        )
        self.is_plain = not has_digits and "@" not in text and "-----BEGIN " not in text
        self._data: bytes | None = None
        self._kinds: bytes | None = None
        self._words: bytes | None = None

    def has(self, kinds: bytes) -> bool:
        """Return whether there are characters of these kinds, a digit among them, in a row."""
        # From its end a text is searched in half the time.
        return self.has_digits and self.kinds.rfind(kinds) >= 0

    @property
    def kinds(self) -> bytes:
        """The kind of each character."""
        kinds = self._kinds
        if kinds is None:
            kinds = self._kinds = self._bytes().translate(_KINDS)
        return kinds

    @property
    def words(self) -> bytes:
        """The words of letters, digits, `_`, `-` and `.`."""
        words = self._words
        if words is None:
            words = self._words = self._bytes().translate(_WORDS)
        return words

    def _bytes(self) -> bytes:
        data = self._data
        if data is None:
            data = self._data = self.text.encode("latin-1", "replace")
        return data

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
