"""The word that ends a text: it may still become an address or a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["common_tail", "run_tail", "words_tail"]

_LETTERS = "A-Za-z0-9\u00c0-\u024f"


def run_tail(chars: frozenset[str], longest: int) -> Callable[[str, int], int]:
    """Return what finds the run of Latin letters, digits and `chars` that ends a text.

    It returns what `run_start` returns, or `begin` if that is greater, in one step of the engine.
    """
    members = _members(chars)
    match = re.compile(rf"(?:[{members}]*+[^{members}])*+", re.DOTALL).match

    def tail(text: str, begin: int) -> int:
        before = match(text, begin)
        start = begin if before is None else before.end()
        return max(start, len(text) - longest)

    return tail


def common_tail(runs: Sequence[frozenset[str]]) -> re.Pattern[str]:
    """Return what matches up to the earliest of several such runs, in its first group.

    It does not match where they begin at different places. One step for all of them: nearly every
    text ends with nothing but what all runs have in common.
    """
    every, common = _members(frozenset.union(*runs)), _members(frozenset.intersection(*runs))
    return re.compile(rf"((?:[{every}]*+[^{every}])*+)[{common}]*+\Z", re.DOTALL)


def words_tail(runs: Sequence[frozenset[str]]) -> re.Pattern[str]:
    """Return what matches as `common_tail`, but only texts without digits, `@` and `-`.

    That is most of prose, in which nothing is found.
    """
    letters = re.escape("".join(sorted(frozenset.union(*runs) - frozenset("@-"))))
    common = re.escape("".join(sorted(frozenset.intersection(*runs) - frozenset("@-"))))
    every = f"A-Za-z\u00c0-\u024f{letters}"
    return re.compile(
        rf"((?:[{every}]*+[^{every}0-9@-])*+)[A-Za-z\u00c0-\u024f{common}]*+\Z", re.DOTALL
    )


def _members(chars: frozenset[str]) -> str:
    return _LETTERS + re.escape("".join(sorted(chars)))
