"""The last word of a text, which may still become an address or a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["common_tail", "run_tail", "words_tail"]

_LETTERS = "A-Za-z0-9\u00c0-\u024f"


def run_tail(chars: frozenset[str], longest: int) -> Callable[[str, int], int]:
    """Return a function that finds the run of Latin letters, digits and `chars` ending a text.

    The function returns the greater of `run_start` and `begin`, by one match of an expression.
    """
    members = _members(chars)
    match = re.compile(rf"(?:[{members}]*+[^{members}])*+", re.DOTALL).match

    def tail(text: str, begin: int) -> int:
        before = match(text, begin)
        start = begin if before is None else before.end()
        return max(start, len(text) - longest)

    return tail


def common_tail(runs: Sequence[frozenset[str]]) -> re.Pattern[str]:
    """Return an expression whose first group ends where several such runs begin.

    It does not match if they begin at different positions. One match replaces one for each run:
    nearly every text ends with characters that all runs have in common.
    """
    every, common = _members(frozenset.union(*runs)), _members(frozenset.intersection(*runs))
    return re.compile(rf"((?:[{every}]*+[^{every}])*+)[{common}]*+\Z", re.DOTALL)


def words_tail(runs: Sequence[frozenset[str]]) -> re.Pattern[str]:
    """Return an expression like `common_tail` that only matches texts without digits, `@` and `-`.

    Most prose is such text, and contains no findings.
    """
    letters = re.escape("".join(sorted(frozenset.union(*runs) - frozenset("@-"))))
    common = re.escape("".join(sorted(frozenset.intersection(*runs) - frozenset("@-"))))
    every = f"A-Za-z\u00c0-\u024f{letters}"
    return re.compile(
        rf"((?:[{every}]*+[^{every}0-9@-])*+)[A-Za-z\u00c0-\u024f{common}]*+\Z", re.DOTALL
    )


def _members(chars: frozenset[str]) -> str:
    return _LETTERS + re.escape("".join(sorted(chars)))
