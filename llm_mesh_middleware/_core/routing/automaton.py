"""Regular expressions as automata: the syntax of RE2, and the nodes that a value moves through.

Only the parser of the standard library is used, not its matcher, which backtracks.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

__all__ = ["ACCEPT", "EDGE", "Automaton", "Chars", "Items", "parse", "side_of"]

MAX_REPEAT = 1000  # the highest count in `{n,m}`, nested ones multiplied, as in RE2
MAX_NODES = 4000  # parts of a pattern once repetitions are expanded

Items = Sequence[tuple[Any, Any]]  # the parser's result: (operation, argument) pairs
_Spans = tuple[tuple[int, int], ...]  # inclusive ranges of code points
_Test = Callable[[int, int], bool]  # an anchor, given the sides before and after it

# Tokens that matter before parsing, for two reasons: the parse tree has no positions, and the
# parser warns where we must refuse. Catching the warning is not an option:
# `warnings.catch_warnings` changes the whole process, other threads included.
_TOKEN = re.compile(
    r"""
      (?P<back_reference> \\(?:[1-7](?![0-7]{2})|[89])[0-9]? | \(\?P=[^)]*\)? )
    | (?P<end> \\z )
    | (?P<skip> \\. | \(\?\#(?:\\.|[^)\\])* )
    | (?P<look_around> \(\?<?[=!] )
    | (?P<conditional> \(\?\( )
    | (?P<atomic> \(\?> )
    | (?P<flags> \(\?[a-zA-Z-]+[:)] )
    | (?P<possessive> (?:[*+?]|\{(?:[0-9]+,?[0-9]*|,[0-9]*)\})\+ )
    | (?P<open_count> \{,[0-9]*\} )
    | (?P<remark> \#(?:\\.|[^\\\n])* )
    | (?P<chars> \[\^?\]?(?:\\.|[^]\\])* )
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_LINEAR = "cannot be matched in linear time"
_REFUSED = {
    "back_reference": f"back-reference %s at position %d {_NOT_LINEAR}; spell it out",
    "look_around": f"look-around %s at position %d {_NOT_LINEAR}; use a second match or rule",
    "conditional": f"conditional %s at position %d {_NOT_LINEAR}; write both cases with '|'",
    "atomic": f"atomic group %s at position %d {_NOT_LINEAR}; write '(?:'",
    "possessive": f"possessive quantifier %s at position %d {_NOT_LINEAR}; drop the last '+'",
    "open_count": "repetition %s at position %d has no lower bound; write '{0,' instead of '{,'",
    "flags": "flags %s at position %d are not supported; only i, m and s are, and x in '(?x)'",
    "chars": "character class %s at position %d is ambiguous; escape [ - & ~ | in it",
}
_AMBIGUOUS = re.compile(r"\[\^?\[|\[[:.=]|--|&&|~~|\|\|")

ACCEPT = 0  # the node that ends every match
EDGE, _NEWLINE, _WORD_CHAR, _OTHER = range(4)  # the kinds of neighbours of a position in the value
_TEXT_ANCHORS: dict[str, _Test] = {
    "AT_BEGINNING": lambda before, after: before == EDGE,
    "AT_BEGINNING_STRING": lambda before, after: before == EDGE,
    "AT_END": lambda before, after: after == EDGE,
    "AT_END_STRING": lambda before, after: after == EDGE,
    "AT_BOUNDARY": lambda before, after: (before == _WORD_CHAR) != (after == _WORD_CHAR),
    "AT_NON_BOUNDARY": lambda before, after: (before == _WORD_CHAR) == (after == _WORD_CHAR),
}
_LINE_ANCHORS: dict[str, _Test] = _TEXT_ANCHORS | {
    "AT_BEGINNING": lambda before, after: before in (EDGE, _NEWLINE),
    "AT_END": lambda before, after: after in (EDGE, _NEWLINE),
}


def _outside(spans: _Spans) -> _Spans:
    lows = [0, *(high + 1 for _, high in spans)]
    return tuple(zip(lows, [*(low - 1 for low, _ in spans), sys.maxunicode], strict=True))


_CATEGORIES: dict[str, _Spans] = {
    "DIGIT": ((48, 57),),
    "SPACE": ((9, 10), (12, 13), (32, 32)),  # RE2 excludes the vertical tab
    "WORD": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_CATEGORIES |= {f"NOT_{name}": _outside(spans) for name, spans in _CATEGORIES.items()}


def _fold(char: str) -> str:
    """Return the character that represents all cases of `char` (Unicode simple folding)."""
    return next((form for form in (char.casefold(), char.lower()) if len(form) == 1), char)


class Chars(msgspec.Struct, frozen=True):
    """A set of characters: the spans, or with `negated` all others; `folded` ignores case."""

    spans: _Spans
    negated: bool = False
    folded: bool = False

    def __contains__(self, char: str) -> bool:
        forms = {char}
        if self.folded:
            folded = _fold(char)
            forms |= {form for form in (folded, folded.upper()) if _fold(form) == folded}
        codes = [ord(form) for form in forms]
        return self.negated != any(
            low <= code <= high for low, high in self.spans for code in codes
        )


def _chars(name: str, argument: Any, flags: int) -> Chars:
    """Return the characters that one consuming operation of the parse tree matches."""
    if name == "ANY":
        return Chars(() if flags & re.DOTALL else ((10, 10),), negated=True)
    items = argument if name == "IN" else [(name, argument)]
    folded, negated, spans = bool(flags & re.IGNORECASE), False, list[tuple[int, int]]()
    for operation, value in items:
        kind = str(getattr(operation, "name", operation))
        negated |= kind in ("NEGATE", "NOT_LITERAL")
        if kind in ("LITERAL", "NOT_LITERAL"):
            code = ord(_fold(chr(value))) if folded else value
            spans.append((code, code))
        elif kind == "RANGE":
            spans.append(value)
        elif kind == "CATEGORY":
            spans.extend(_CATEGORIES[value.name.removeprefix("CATEGORY_")])
    return Chars(tuple(spans), negated, folded)


def side_of(char: str) -> int:
    if char == "\n":
        return _NEWLINE
    return _WORD_CHAR if char.isascii() and (char.isalnum() or char == "_") else _OTHER


def _inspect(pattern: str) -> str:
    """Reject unsupported syntax with its position, and translate RE2's `\\z`."""
    verbose, place = False, 0
    while token := _TOKEN.search(pattern, place):
        kind, text, start, place = str(token.lastgroup), token[0], token.start(), token.end()
        if kind == "end":
            pattern = f"{pattern[:start]}\\Z{pattern[place:]}"
        elif kind == "remark" and not verbose:
            place = start + 1  # '#' is an ordinary character
        elif kind == "flags" and not set(text) - set("(?imsx)" if text[-1] == ")" else "(?ims-:"):
            verbose |= "x" in text
        elif kind == "chars" and not _AMBIGUOUS.search(re.sub(r"(?s)\\.", "_", text)):
            place += 1  # the closing bracket
        elif kind not in ("skip", "remark"):
            text = pattern[start : place + 1] if kind == "chars" else text
            raise ValueError(_REFUSED[kind] % (text, start))
    return pattern


def parse(pattern: str) -> tuple[Items, int]:
    """Parse with the private parser of the standard library; only this function uses it."""
    parser: Any = importlib.import_module("re._parser")
    try:
        tree = parser.parse(_inspect(pattern))
    except (re.error, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return tree.data, tree.state.flags


class Automaton:
    """The nodes of one pattern. A node either consumes a character or leads on without one.

    Built from the end: each part gets the node that follows it and returns its own first node.
    """

    def __init__(self, items: Items, flags: int) -> None:
        self.consuming: dict[Chars, set[int]] = {}
        self.follow: dict[int, int] = {}
        self.empty: dict[int, tuple[_Test | None, tuple[int, ...]]] = {}
        self.size = 1
        self._expanded, self._copies = 0, 1
        self.start = frozenset((self._sequence(items, flags, ACCEPT),))
        self.forks = frozenset(self.empty)
        self.has_anchors = any(test for test, _ in self.empty.values())

    def _node(self) -> int:
        self.size += 1
        return self.size - 1

    def _sequence(self, items: Items, flags: int, after: int) -> int:
        self._expanded += max(1, len(items))  # an empty group repeated costs time too
        if self._expanded > MAX_NODES:
            raise ValueError(
                f"the pattern expands to more than {MAX_NODES} parts; lower its counts"
            )
        for operation, argument in reversed(items):
            after = self._part(operation.name, argument, flags, after)
        return after

    def _part(self, name: str, argument: Any, flags: int, after: int) -> int:
        match name:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                node = self._node()
                self.consuming.setdefault(_chars(name, argument, flags), set()).add(node)
                self.follow[node] = after
                return node
            case "AT":
                anchors = _LINE_ANCHORS if flags & re.MULTILINE else _TEXT_ANCHORS
                return self._fork((after,), anchors[argument.name])
            case "BRANCH":
                return self._fork(
                    tuple(self._sequence(branch.data, flags, after) for branch in argument[1])
                )
            case "SUBPATTERN":
                _, added, removed, body = argument
                return self._sequence(body.data, (flags | added) & ~removed, after)
            case "MAX_REPEAT" | "MIN_REPEAT":  # greedy or lazy: they match the same values
                low, high, body = argument
                return self._repeat(low, high, body.data, flags, after)
        raise ValueError(f"{name} {_NOT_LINEAR}")  # operations of later Python versions

    def _fork(self, targets: tuple[int, ...], test: _Test | None = None) -> int:
        node = self._node()
        self.empty[node] = (test, targets)
        return node

    def _repeat(self, low: int, high: Any, body: Items, flags: int, after: int) -> int:
        endless = getattr(high, "name", "") == "MAXREPEAT"
        count = max(1, low if endless else high)
        self._copies *= count
        if self._copies > MAX_REPEAT:
            raise ValueError(
                f"repetition of {self._copies} times is too much; at most {MAX_REPEAT},"
                " where nested counts multiply"
            )
        entry = after
        if endless:
            entry = loop = self._node()
            first = self._sequence(body, flags, loop)
            self.empty[loop] = (None, (first, after))
            if low:  # the loop itself is one copy; otherwise nested '+' would double at each level
                entry, low = first, low - 1
        else:
            for _ in range(high - low):
                entry = self._fork((self._sequence(body, flags, entry), after))
        for _ in range(low):
            entry = self._sequence(body, flags, entry)
        self._copies //= count
        return entry

    def reach(self, nodes: frozenset[int], before: int, after: int) -> set[int]:
        """Add the nodes reachable without a character, between these two sides."""
        reached, pending = set(nodes), list(nodes & self.forks)
        while pending:
            test, targets = self.empty[pending.pop()]
            if test is None or test(before, after):
                fresh = set(targets) - reached
                reached |= fresh
                pending.extend(fresh & self.forks)
        return reached

    def step(self, nodes: frozenset[int], before: int, char: str) -> frozenset[int]:
        reached, targets = self.reach(nodes, before, side_of(char)), set[int]()
        for chars, consuming in self.consuming.items():
            if (here := reached & consuming) and char in chars:
                targets.update(map(self.follow.__getitem__, here))
        return frozenset(targets)
