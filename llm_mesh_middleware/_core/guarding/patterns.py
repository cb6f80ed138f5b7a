"""Regular expressions of the operator, found wherever they match.

A match is at most so many characters long. That bounds the work to a constant for each character,
and what a stream holds back. Most texts are not even searched: they lack what every match has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..routing.automaton import parse
from ..routing.regex import LinearPattern
from .finding import Finding
from .needed import beginnings, needed_texts

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
        self._patterns = [_Searched(pattern) for pattern in patterns]
        self._entity = entity
        self._longest = longest

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield the longest match at each place; an empty one is none."""
        folded = text.casefold()
        for pattern in self._patterns:
            if not pattern.may_match(folded):
                continue
            for start in pattern.starts(text, 0):
                end, _ = pattern.match_at(text, start, self._longest, is_final=is_final)
                if end > start:
                    yield Finding(start, end, self._entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether no pattern matches in any of some whole texts."""
        return all(next(self.find(text), None) is None for text in texts)

    def held_from(self, text: str) -> int:
        """Return where the first match may begin that the text does not complete."""
        lowest, begin = len(text), max(0, len(text) - self._longest)
        for pattern in self._patterns:
            for start, _, goes_on in self._matches(pattern, text, begin):
                if goes_on:
                    lowest = min(lowest, start)
                    break
        return lowest

    def quiet_until(self, text: str, begin: int) -> int:
        """Return where the first match may begin, unless one is complete before."""
        lowest = len(text)
        for pattern in self._patterns:
            for start, end, goes_on in self._matches(pattern, text, begin):
                if end > start:
                    return -1
                if goes_on:
                    lowest = min(lowest, start)
                    break
        return lowest

    def _matches(
        self, pattern: _Searched, text: str, begin: int
    ) -> Iterator[tuple[int, int, bool]]:
        """Yield where a match can begin, where it ends, and whether it may go on."""
        for start in pattern.starts(text, begin):
            yield start, *pattern.match_at(text, start, self._longest, is_final=False)


class _Searched:
    """A pattern, and what every match of it has."""

    def __init__(self, pattern: str) -> None:
        linear = LinearPattern(pattern)
        self.match_at = linear.match_at
        self._needed = needed_texts(parse(pattern)[0])
        self._begins = beginnings(linear.begins())

    def may_match(self, folded: str) -> bool:
        """Return whether a text, in the folded case, has what a match needs."""
        return not self._needed or any(text in folded for text in self._needed)

    def starts(self, text: str, begin: int) -> Iterable[int]:
        """Return where matches can begin, in order."""
        if self._begins is None:
            return range(begin, len(text))
        return (match.start() for match in self._begins.finditer(text, begin))


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

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether a pattern matches in each of some whole texts."""
        return all(next(self.find(text), None) is None for text in texts)

    def held_from(self, text: str) -> int:
        """Return 0: what follows may still match."""
        return 0

    def quiet_until(self, text: str, begin: int) -> int:
        """Return -1: nothing can be told at a glance."""
        return -1
