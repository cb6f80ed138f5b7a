"""The interface of a recogniser.

A recogniser is local: whether text at some position is a finding depends only on that text and on
`MAX_CONTEXT` characters before it. So a text in pieces has the same findings as the whole text:

    ... context | decided | held ..........|
                          ^ held_from: no finding that begins before here can change any more
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from .outlines import Outlines

__all__ = ["MAX_CONTEXT", "Finding", "Recogniser", "run_start"]

# How many characters before a finding a recogniser may read.
MAX_CONTEXT = 96


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A part of a text, and the name of its entity, never its value."""

    start: int
    end: int
    entity: str


class Recogniser(Protocol):
    """Finds one kind of text; pure, and linear in the text."""

    @property
    def outlines(self) -> Outlines | None:
        """Judges outlines; None if the recogniser tells letters apart."""

    def find(self, text: str, *, is_final: bool = True) -> Iterable[Finding]:
        """Return the findings, which may overlap.

        Args:
            text: the text so far.
            is_final: whether the text is complete; otherwise findings from `held_from` on may
                change.
        """

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether there is no finding in any of these whole texts."""

    def held_from(self, text: str) -> int:
        """Return the start of the text that may still become a finding, or a longer one."""

    def clear_until(self, text: str, begin: int) -> int:
        """Return the greater of `held_from` and `begin`, by a quick test.

        Returns:
            -1 if there may be a finding after `begin`, so that the text must be searched.
        """


def run_start(text: str, chars: frozenset[str], longest: int) -> int:
    """Return the start of the run of Latin letters, digits and `chars` at the end of the text.

    Scripts without spaces between words do not make such runs.

    Args:
        text: the text so far.
        chars: the characters of a run besides letters and digits.
        longest: how far to look back.
    """
    at = len(text)
    lowest = max(0, at - longest)
    while at > lowest:
        char = text[at - 1]
        if not (
            char in chars or (char.isalnum() if char.isascii() else "\u00c0" <= char <= "\u024f")
        ):
            break
        at -= 1
    return at
