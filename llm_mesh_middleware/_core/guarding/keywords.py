"""A recogniser of literal words and phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .finding import Finding

__all__ = ["Keywords"]


class Keywords:
    """Finds literal texts; of two that begin at one position, the longer one."""

    outlines = None  # it tells letters apart

    def __init__(self, words: Iterable[str], *, entity: str, ignore_case: bool = False) -> None:
        """Find `words`, and call them `entity`."""
        self._entity = entity
        self._ignores_case = ignore_case
        folded = sorted({self._folded(word) for word in words}, key=lambda word: (-len(word), word))
        self._beginnings = frozenset(word[:end] for word in folded for end in range(1, len(word)))
        self._longest = max(map(len, folded)) - 1
        # A look-ahead, so that a word inside another word is found, too.
        self._search = re.compile("(?=(" + "|".join(map(re.escape, folded)) + "))").finditer

    def find(self, text: str, *, is_final: bool = True) -> Iterator[Finding]:
        """Yield each word."""
        for match in self._search(self._folded(text)):
            yield Finding(match.start(), match.end(1), self._entity)

    def is_clear(self, texts: Sequence[str]) -> bool:
        """Return whether none of these whole texts has a word."""
        return all(next(self.find(text), None) is None for text in texts)

    def held_from(self, text: str) -> int:
        """Return the start of the longest suffix of the text that is a prefix of a word."""
        size = len(text)
        tail = self._folded(text[max(0, size - self._longest) :])
        for begin in range(len(tail)):
            if tail[begin:] in self._beginnings:
                return size - len(tail) + begin
        return size

    def clear_until(self, text: str, begin: int) -> int:
        """Return the start of a suffix that is a prefix of a word; -1 if there is a word."""
        after = text[begin:]
        is_quiet = next(self._search(self._folded(after)), None) is None
        return begin + self.held_from(after) if is_quiet else -1

    def _folded(self, text: str) -> str:
        """Return the text in one case; each character keeps its position."""
        if not self._ignores_case:
            return text
        lower = text.lower()
        if len(lower) == len(text):
            return lower
        return "".join(low if len(low := char.lower()) == 1 else char for char in text)
