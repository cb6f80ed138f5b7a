"""The parts that every match of a pattern has: texts without them need not be searched.

    (?i)ignore (all|previous) rules     texts     "ignore "
                                        begins    i, I, and what is not ASCII

Both are necessary, not sufficient: where they are, the pattern itself decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..routing.automaton import Chars, Items

__all__ = ["beginnings", "needed_texts"]

_ESCAPED = re.compile(r"([\\\]^-])")


def needed_texts(items: Items) -> Sequence[str]:
    """Return texts of which every match has one, in the folded case; nothing if there are none.

    The longest of a sequence are the best: an alternative needs those of each of its branches.
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
        return needed_texts(argument[3].data)
    if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
        return needed_texts(argument[2].data)
    if name == "BRANCH":
        branches = [needed_texts(branch.data) for branch in argument[1]]
        return [text for branch in branches for text in branch] if all(branches) else ()
    return ()


def _worth(texts: Sequence[str]) -> int:
    return min(map(len, texts), default=0)


def beginnings(sets: Iterable[Chars]) -> re.Pattern[str] | None:
    """Return what finds the characters of these sets, and perhaps more; None if that may be any."""
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
