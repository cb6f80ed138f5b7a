"""A recogniser of regular expressions that the operator configures.

The length of a match is limited. That bounds the work for each character, and how much a stream
holds back. Most texts are not even searched: they do not pass the prefilters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..routing.automaton import parse
from ..routing.regex import LinearPattern
from .finding import Finding
from .prefilter import first_chars, required_literals

__all__ = ["Patterns", "Unmatched"]


class Patterns:
    """Finds the longest match of each pattern at each position."""

    outlines = None  # it tells letters apart

    def __init__(self, patterns: Sequence[str], *, entity: str, longest: int) -> None:
        """Find `patterns`, and call what they match `entity`.

        Args:
            patterns: regular expressions in the syntax of route rules.
            entity: the entity name of a match.
            longest: the maximum length of a match.

        Raises:
            ValueError: a pattern cannot be used.
        """
        self._patterns = [_Prefiltered(pattern) for pattern in patterns]
        self._entity = entity
        self._longest = longest

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield the longest match at each position; empty matches are skipped."""
        folded = text.casefold()
        for pattern in self._patterns:
            if not pattern.may_match(folded):
                continue
            for start in pattern.starts(text, 0):
                end, _ = pattern.match_at(text, start, self._longest, is_final=is_final)
                if end > start:
                    yield Finding(start, end, self._entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether no pattern matches in any of these whole texts."""
        return all(next(self.find(text), None) is None for text in texts)

    def held_from(self, text: str) -> int:
        """Return the start of the first match that may continue after the text."""
        lowest, begin = len(text), max(0, len(text) - self._longest)
        for pattern in self._patterns:
            for start, _, goes_on in self._matches(pattern, text, begin):
                if goes_on:
                    lowest = min(lowest, start)
                    break
        return lowest

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of the first match that may continue, unless one is complete before."""
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
        self, pattern: _Prefiltered, text: str, begin: int
    ) -> Iterator[tuple[int, int, bool]]:
        """Yield the start of each possible match, its end, and whether it may continue."""
        for start in pattern.starts(text, begin):
            yield start, *pattern.match_at(text, start, self._longest, is_final=False)


class _Prefiltered:
    """A pattern with its prefilters."""

    def __init__(self, pattern: str) -> None:
        linear = LinearPattern(pattern)
        self.match_at = linear.match_at
        self._literals = required_literals(parse(pattern)[0])
        self._first_chars = first_chars(linear.begins())

    def may_match(self, folded: str) -> bool:
        """Return whether a case-folded text has a required literal."""
        return not self._literals or any(text in folded for text in self._literals)

    def starts(self, text: str, begin: int) -> Iterable[int]:
        """Return the positions at which matches can begin, in order."""
        if self._first_chars is None:
            return range(begin, len(text))
        return (match.start() for match in self._first_chars.finditer(text, begin))


class Unmatched:
    """Reports a whole text in which no pattern matches; empty texts are skipped."""

    outlines = None  # it tells letters apart

    def __init__(self, patterns: Patterns, *, entity: str) -> None:
        """Look for `patterns`, and call a text without them `entity`."""
        self._patterns = patterns
        self._entity = entity

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield the text as a whole."""
        if text and is_final and next(self._patterns.find(text), None) is None:
            yield Finding(0, len(text), self._entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether a pattern matches in each of these whole texts."""
        return all(next(self.find(text), None) is None for text in texts)

    def held_from(self, text: str) -> int:
        """Return 0: what follows may still match."""
        return 0

    def clear_until(self, text: str, begin: int) -> int:
        """Return -1: there is no quick test."""
        return -1
