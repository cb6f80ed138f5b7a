"""Regular expressions of the operator, found wherever they match.

A match is at most so many characters long. That bounds the work to a constant for each character,
and what a stream holds back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..routing.regex import LinearPattern
from .finding import Finding

__all__ = ["Patterns", "Unmatched"]


class Patterns:
    """Finds the longest match of each pattern at each place."""

    def __init__(self, patterns: Sequence[str], *, entity: str, longest: int) -> None:
        """Find `patterns`, and call what they match `entity`.

        Args:
            patterns: regular expressions as route rules have them.
            entity: the name of what they match.
            longest: the most characters of a match.

        Raises:
            ValueError: a pattern cannot be used.
        """
        self._patterns = [LinearPattern(pattern) for pattern in patterns]
        self._entity = entity
        self._longest = longest

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield the longest match at each place; an empty one is none."""
        for pattern in self._patterns:
            for start in range(len(text)):
                end, _ = pattern.match_at(text, start, self._longest, is_final=is_final)
                if end > start:
                    yield Finding(start, end, self._entity)

    def held_from(self, text: str) -> int:
        """Return where the first match may begin that the text does not complete."""
        size = len(text)
        for start in range(max(0, size - self._longest), size):
            for pattern in self._patterns:
                if pattern.match_at(text, start, self._longest, is_final=False)[1]:
                    return start
        return size

    def quiet_until(self, text: str, begin: int) -> int:
        """Return -1: nothing can be told at a glance."""
        return -1


class Unmatched:
    """Finds a whole text in which no pattern matches; an empty text is none."""

    def __init__(self, patterns: Patterns, *, entity: str) -> None:
        """Look for `patterns`, and call a text without them `entity`."""
        self._patterns = patterns
        self._entity = entity

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield the text as a whole."""
        if text and is_final and next(self._patterns.find(text), None) is None:
            yield Finding(0, len(text), self._entity)

    def held_from(self, text: str) -> int:
        """Return 0: what follows may still match."""
        return 0

    def quiet_until(self, text: str, begin: int) -> int:
        """Return -1: nothing can be told at a glance."""
        return -1
