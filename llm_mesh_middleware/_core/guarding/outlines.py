"""Outlines of texts: few are different, so the judgement on each is remembered.

    text       Grüße an 12 Freunde        " the", " fox" and " und" have the same outline
    outline    aaÀÀa aa 11 aaaaaaa

In a text without findings, the end that recognisers hold back depends only on which characters are
letters and digits. They judge an outline as if it were the text, so it must have the same classes
of characters; a text that may have a finding is searched itself.

Outlines are UTF-8, as texts on the wire are: a byte of one is a byte of the other.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BEGIN", "ESCAPE", "LONGEST", "WRITTEN", "Outlines", "of_decoded", "of_text"]

BEGIN = "\n"
"""Stands for the character before a text that has just begun."""
ESCAPE = b"\\"

# Makes an outline unreadable: this byte is not UTF-8.
_NONE = 0xFF
# How many outlines are remembered, and how long they may be.
_MOST = 4096
_LONGEST_KEPT = 48
LONGEST = 256
"""Longer outlines are not judged."""


def _of_code(code: int) -> int:
    """Return what a byte of a text is in its outline; 0xFF if that cannot be told from it."""
    char = chr(code)
    if code < 0x80:
        return ord("a" if char.isalpha() else "1" if char in "123456789" else char)
    if code < 0xC0:
        return 0x80
    if code in (0xC0, 0xC1, 0xC2, 0xC9) or code > 0xF4:
        return _NONE  # not UTF-8, a space that does not break, the last Latin letters
    if code < 0xC9:
        return 0xC3  # À: a Latin letter, as recognisers see it
    return 0xCA if code < 0xE0 else 0xE1 if code < 0xF0 else 0xF1


_DECODED = bytes(map(_of_code, range(256)))
WRITTEN = bytes(
    _NONE if code < 0x20 or chr(code) in '"\\' else _DECODED[code] for code in range(256)
)
"""Translates a string of JSON to its outline, which is not UTF-8 if it has escapes."""


def of_decoded(text: bytes) -> bytes:
    """Return the outline of a text."""
    return text.translate(_DECODED)


def of_text(text: str, begin: int) -> bytes:
    """Return the outline of a text of which everything before `begin` is decided."""
    return of_decoded(_behind(text, begin).encode("utf-8", "surrogatepass"))


class Outlines:
    """Remembers what recognisers hold back of outlines.

    The outlines in `known` begin with the character before the undecided text. The value is what is
    undecided now, with the character before it; it is empty if the text must be searched.
    """

    __slots__ = ("_clear_until", "known")

    def __init__(self, clear_until: Callable[[str, int], int]) -> None:
        """Judge by a function like `Recogniser.clear_until`."""
        self._clear_until = clear_until
        self.known: dict[bytes, bytes] = {}

    def judge(self, outline: bytes) -> bytes:
        """Return what is undecided of an outline, with the character before it.

        Returns:
            nothing if the text must be searched.
        """
        known = self.known.get(outline)
        if known is not None:
            return known
        if len(outline) > LONGEST:
            return b""
        left = self._left(outline)
        if len(outline) <= _LONGEST_KEPT:
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[outline] = left
        return left

    def _left(self, outline: bytes) -> bytes:
        try:
            text = outline.decode()
        except UnicodeDecodeError:
            return b""
        held = self._clear_until(text, 1)
        return b"" if held < 0 else _behind(text, max(held, 1)).encode()


def _behind(text: str, begin: int) -> str:
    """Return the end of a text with the character before it, as one byte.

    To recognisers, what is not ASCII separates words there.
    """
    char = text[begin - 1 : begin] or BEGIN
    return (char if char.isascii() else " ") + text[begin:]
