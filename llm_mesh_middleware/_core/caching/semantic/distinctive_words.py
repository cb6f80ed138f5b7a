"""The words that must be equal in two texts with the same meaning, however similar their vectors.

Vectors of "turn it on" and "turn it off", or of order 48213 and order 48231, hardly differ. So the
words that carry such differences are compared literally, in their order:

    "Is Tom taller than 180 cm?"   is  Tom  taller  than  180cm
                                       ^^^  ^^^^^^        ^^^^^

numbers      with their unit, as digits or in words
names        words with capitals, with digits or signs inside, links, paths; in Latin script, as
             there are no capitals elsewhere
quotations   and code, unchanged
negations    not, never, nicht, 不 ...
opposites    on and off, before and after, buy and sell ...
questions    who, when, why ...

Finding too many of them only costs cache hits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .words import CJK_MARKS, MARKS, OPENERS

__all__ = ["distinctive_words"]

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_MAX_CHARS = 4000  # the vector of a longer text hardly depends on one word

# Quotations are limited, so that unclosed quotation marks do not make the search slow.
_TOKEN = re.compile(
    r"```.{0,1000}?```|`[^`]{0,300}`"
    r"|\"[^\"]{0,300}\"|“[^”]{0,300}”|«[^»]{0,300}»|„[^“”]{0,300}[“”]"
    r"|「[^」]{0,300}」|『[^』]{0,300}』|《[^》]{0,300}》"
    r"|(?<!\w)'[^'\n]{0,300}'(?!\w)"  # not an apostrophe
    r"|(?P<number>[$€£¥]?[+\-−]?\d+(?:[.,:/\-]\d+)*)(?P<unit>\s?(?:[%°$€£¥]|[^\W\d_]+))?"
    rf"|(?P<cjk>[{_CJK}]+)"
    rf"|(?P<word>[^\s{_CJK}]+)",
    re.DOTALL,
)
_ENDS = frozenset(".?!:;…。？！：；\n")
_AROUND = ".,;:!?()[]{}<>\"'“”‘’«»…。？！，、：；（）"
_TAIL = re.compile(r"['’](?:s|re|ll|ve|d|m)$", re.IGNORECASE)
_SIGNS = frozenset("_/\\@#=<>+*&|~^$€£¥%.-")


def distinctive_words(text: str) -> tuple[str, ...] | None:
    """Return the distinctive words of a text, in order; None for an empty or a long text."""
    return None if len(text) > _MAX_CHARS or not text.strip() else tuple(_find(text))


def _find(text: str) -> Iterator[str]:
    begins = True  # a sentence begins: a word with a capital may be an ordinary one
    for found in _TOKEN.finditer(text):
        token = found.group()
        if found["word"] is not None:
            yield from _words(token, begins)
        elif found["cjk"] is not None:
            yield from (mark for mark in token if mark in CJK_MARKS)
        elif found["number"] is not None:
            unit = (found["unit"] or "").strip().lower()
            yield found["number"] + ("" if unit in OPENERS else unit)
        else:
            yield token
        gap = text[found.end() : found.end() + 2]
        begins = token[-1] in _ENDS or gap.startswith("\n")


def _words(token: str, begins: bool) -> Iterator[str]:
    word = token.strip(_AROUND)
    word = _TAIL.sub("", word)
    lower = word.lower().replace("’", "'")
    if lower.endswith("n't") or lower in MARKS:
        yield lower
    elif any(map(str.isalnum, word)) and _is_name(word, begins):
        yield word


def _is_name(word: str, begins: bool) -> bool:
    if any(sign in _SIGNS or sign.isdigit() for sign in word):
        return True
    lower = word.lower()
    return word not in (lower, "I") and not (begins and lower in OPENERS)
