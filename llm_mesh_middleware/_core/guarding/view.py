"""A text with its character classes, in which recognisers quickly find candidates.

    text    Call 555-0199, sk-ab12...
    kinds   aaaa, 000-0000, aa-aa00...     a for letters, 0 for digits, other characters unchanged
    words   xxxx  xxxxxxxx  xxxxxxx...     x for the characters of keys and account numbers

Searching these for a few bytes takes a hundredth of the time of a regular expression. Positions are
the same in all three.
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
    """One text; its classes are computed on first use.

    `has_digits`: there is at least one digit. `is_plain`: no finding is possible.
    """

    __slots__ = ("_data", "_kinds", "_words", "has_digits", "is_plain", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # Ten searches for one character are far cheaper than one search for any of ten, and cheaper
        # than a generator.
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
        """Return whether characters of these kinds, with a digit among them, follow each other."""
        # `rfind` takes half the time of `find`.
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
        """Yield the start and end of each word that is at least as long as `shortest`."""
        words, size, at = self.words, len(self.text), 0
        if words.rfind(shortest) < 0:
            return
        while (begin := words.find(shortest, at)) >= 0:
            at = words.find(b" ", begin)
            at = size if at < 0 else at
            yield begin, at


class Entity(Protocol):
    """A recogniser that searches the view of a text."""

    @property
    def longest(self) -> int:
        """The most characters that it holds back."""

    @property
    def sign(self) -> str:
        """An expression for a part of every finding without an @ or a private key; may be empty."""

    @property
    def tail(self) -> str:
        """An expression for numbers at the end of a text that are held back; may be empty."""

    @property
    def run(self) -> frozenset[str] | None:
        """The characters, besides letters, that are held back at the end of a text without digits.

        None if nothing is held back there, or two letters at most.
        """

    @property
    def opened(self) -> frozenset[str]:
        """The last characters of a text without digits that may begin a number."""

    def find_in(self, view: View) -> list[Finding]:
        """Return the findings in a text."""

    def held_from(self, text: str) -> int:
        """Return the start of the text that may still become a finding, or a longer one."""

    def clear_until(self, text: str, begin: int) -> int:
        """Return a quick `held_from`, as specified in `Recogniser`."""
