"""The interface of a recogniser.

A recogniser is local: whether text at some place is a finding depends on that text, on `context`
characters before it, and on nothing else that is already final. That is what makes a text in pieces
equal to the whole one:

    ... context | decided | held ..........|
                          ^ held_from: no finding that begins before here can change any more
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

__all__ = ["MAX_CONTEXT", "Finding", "Recogniser", "run_start"]

# How many characters before a finding a recogniser may look at.
MAX_CONTEXT = 96


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A part of a text, and what it is: the name of an entity, never its value."""

    start: int
    end: int
    entity: str


class Recogniser(Protocol):
    """Finds one kind of text; pure, and linear in the text."""

    def find(self, text: str, *, is_final: bool = True) -> Iterable[Finding]:
        """Return what is found; findings may overlap.

        Args:
            text: the text so far.
            is_final: whether nothing follows; else findings from `held_from` on may be wrong.
        """

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether nothing is found in any of some whole texts."""

    def held_from(self, text: str) -> int:
        """Return where the text begins that may still become another finding, or a longer one."""

    def quiet_until(self, text: str, begin: int) -> int:
        """Return `held_from` at a glance, or `begin` if that is greater.

        Returns:
            -1 if there may be a finding behind `begin`, so that the text needs a closer look.
        """


def run_start(text: str, chars: frozenset[str], longest: int) -> int:
    """Return where the run of Latin letters, digits and `chars` begins that ends the text.

    Scripts without spaces between words do not make such runs.

    Args:
        text: the text so far.
        chars: what belongs to a run besides letters and digits.
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
