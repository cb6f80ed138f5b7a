"""JSON in pieces, unescaped, with a map from each plain position to where it is written.

    written    {"to":  "anna\\u0040example.com"}
    plain      {"to":  "anna@example.com"}        what recognisers see
                       ^ quotes of its structure: the text between two of them is a string

An escape that is cut by the end of a piece is kept for the next piece.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["JSONText", "plain_text"]

_HEX = "[0-9A-Fa-f]"
_HIGH, _LOW = f"u[dD][89abAB]{_HEX}{{2}}", f"u[dD][c-fC-F]{_HEX}{{2}}"
_ESCAPE = re.compile(rf"\\(?:({_HIGH})\\({_LOW})|u({_HEX}{{4}})|([^u]))", re.DOTALL)
# A high surrogate waits for the low one: alone it is not a character.
_CUT = re.compile(rf"\\(?:u{_HEX}{{0,3}}|{_HIGH}(?:\\(?:u{_HEX}{{0,3}})?)?)?\Z")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# With fewer positions nothing is forgotten: that would cost more than keeping them.
_MANY = 256


class JSONText:
    """Positions count from the start of the whole text; `size` counts plain characters."""

    __slots__ = ("_cut", "_ends_inside", "_escapes", "_extras", "_forgotten", "_quotes", "size")

    def __init__(self) -> None:
        """Begin an empty text."""
        self.size = 0
        self._cut = ""
        self._quotes: list[int] = []
        self._ends_inside = False  # a string, at the first of `_quotes`
        self._escapes: list[int] = []
        self._extras: list[int] = []  # by how much escapes lengthen the text, up to each of them
        self._forgotten = 0

    def feed(self, written: str, *, is_final: bool = False) -> str:
        """Return the plain text of the next piece."""
        text, self._cut = self._cut + written, ""
        if "\\" not in text:
            return self._literal(text)
        plain, at = [], 0
        while (begin := text.find("\\", at)) >= 0:
            plain.append(self._literal(text[at:begin]))
            if not is_final and _CUT.match(text, begin):
                self._cut = text[begin:]
                return "".join(plain)
            escape = _ESCAPE.match(text, begin)
            at = begin + 1 if escape is None else escape.end()
            plain.append("\\" if escape is None else _character(escape))
            self._note(at - begin - 1)
        plain.append(self._literal(text[at:]))
        return "".join(plain)

    def written(self, at: int) -> int:
        """Return the written position of a plain position."""
        index = bisect_left(self._escapes, at)
        return at + (self._extras[index - 1] if index else self._forgotten)

    def parts(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the spans between structural quotes, and whether each is inside a string."""
        index = bisect_left(self._quotes, start)
        is_inside = self._ends_inside ^ bool(index % 2)
        for quote in self._quotes[index:]:
            if quote >= end:
                break
            if start < quote:
                yield start, quote, is_inside
            start, is_inside = quote + 1, not is_inside
        if start < end:
            yield start, end, is_inside

    def forget(self, before: int) -> None:
        """Forget positions before this one; they are not needed again."""
        if len(self._quotes) + len(self._escapes) < _MANY:
            return
        gone = bisect_left(self._quotes, before)
        self._ends_inside ^= bool(gone % 2)
        del self._quotes[:gone]
        gone = bisect_left(self._escapes, before)
        if gone:
            self._forgotten = self._extras[gone - 1]
            del self._escapes[:gone], self._extras[:gone]

    def _literal(self, text: str) -> str:
        at = text.find('"')
        while at >= 0:
            self._quotes.append(self.size + at)
            at = text.find('"', at + 1)
        self.size += len(text)
        return text

    def _note(self, extra: int) -> None:
        if extra:
            self._escapes.append(self.size)
            self._extras.append(extra + (self._extras[-1] if self._extras else self._forgotten))
        self.size += 1


def _character(escape: re.Match[str]) -> str:
    high, low, code, letter = escape.groups()
    if high:
        return chr(0x10000 + ((int(high[1:], 16) - 0xD800) << 10) + int(low[1:], 16) - 0xDC00)
    return chr(int(code, 16)) if code else _LETTERS.get(letter, letter)


def plain_text(written: str) -> str:
    """Return a whole JSON text, unescaped."""
    return JSONText().feed(written, is_final=True)
