"""Prefilters of a pattern: what every match contains, so that other texts need not be searched.

    (?i)ignore (all|previous) rules     literals       "ignore "
                                        first chars    i, I, and all characters outside of ASCII

Both are necessary, not sufficient: where they occur, the pattern itself decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..routing.automaton import Chars, Items

__all__ = ["first_chars", "required_literals"]

_ESCAPED = re.compile(r"([\\\]^-])")


def required_literals(items: Items) -> Sequence[str]:
    """Return case-folded literals of which every match has at least one; empty if there are none.

    The longest ones of a sequence are selected; an alternative needs those of all its branches.
    """
    best: Sequence[str] = ()
    run = ""
    for operation, argument in items:
        if operation.name == "LITERAL":
            run += chr(argument)
        elif operation.name != "AT":
            best = max(best, [run.casefold()], _of_part(operation.name, argument), key=_worth)
            run = ""
    return max(best, [run.casefold()], key=_worth) if run or best else ()


def _of_part(name: str, argument: Any) -> Sequence[str]:
    if name == "SUBPATTERN":
        return required_literals(argument[3].data)
    if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
        return required_literals(argument[2].data)
    if name == "BRANCH":
        branches = [required_literals(branch.data) for branch in argument[1]]
        return [text for branch in branches for text in branch] if all(branches) else ()
    return ()


def _worth(texts: Sequence[str]) -> int:
    return min(map(len, texts), default=0)


def first_chars(sets: Iterable[Chars]) -> re.Pattern[str] | None:
    """Return an expression for the characters of these sets and perhaps more; None if for all."""
    spans: list[tuple[int, int]] = []
    for chars in sets:
        if chars.negated:
            return None
        spans += chars.spans
        if chars.folded:
            spans += [(ord(form), ord(form)) for form in _cases(chars.spans)]
            spans.append((128, 0x10FFFF))  # letters of other scripts fold into one another
    written = "".join(f"{_char(low)}-{_char(high)}" for low, high in spans)
    return re.compile(f"[{written}]") if written else None


def _cases(spans: Iterable[tuple[int, int]]) -> set[str]:
    """Return the ASCII letters of the spans in both cases."""
    letters = {chr(code) for low, high in spans for code in range(low, min(high, 127) + 1)}
    return {form for each in letters for form in (each.lower(), each.upper())}


def _char(code: int) -> str:
    return _ESCAPED.sub(r"\\\1", chr(code))
