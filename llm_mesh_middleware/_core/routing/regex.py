"""Full-match regular expressions in time linear in the value, whatever the pattern.

Route rules use RE2 syntax, and values come from untrusted clients, so the backtracking matcher of
the standard library is not an option; only its parser is used.

    pattern      parsed once, and made a Thompson automaton
    value        moves through sets of its nodes
    seen sets    cached as a lazily built deterministic automaton of bounded size

As in RE2, `\\d`, `\\w`, `\\s` and `\\b` are ASCII-only, and `$` matches only at the very end.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec.structs import force_setattr

from ..private import Discreet
from .automaton import ACCEPT, EDGE, Automaton, Chars, parse, side_of

__all__ = ["MAX_MOVES", "MAX_STATES", "LinearPattern"]

MAX_STATES = 512  # deterministic states kept for one pattern
MAX_MOVES = 128  # characters remembered for one such state
_MAX_CELLS = 100_000  # nodes in all kept states: large patterns keep fewer states


class _State:
    """A deterministic state: the nodes just entered and the side before them, for anchors."""

    __slots__ = ("accepts", "before", "moves", "nodes")

    def __init__(self, nodes: frozenset[int], before: int) -> None:
        self.nodes = nodes
        self.before = before
        self.moves: dict[str, _State] = {}
        self.accepts: bool | None = None


_NOTHING = Automaton(*parse(""))


class LinearPattern(Discreet, frozen=True):
    """A regular expression of RE2's kind, matched against whole values in linear time.

    Raises:
        ValueError: the pattern is invalid, too large, or cannot be matched in linear time.
    """

    shown: ClassVar[tuple[str, ...]] = ("pattern",)

    # Thread-safe without a lock (which a fork could leave held): the automaton never changes, the
    # cache is derived from it alone, and each change of the cache is one dict operation. A race
    # repeats work, or exceeds the bounds by an entry for each thread.
    pattern: str
    _automaton: Automaton = _NOTHING
    _states: dict[tuple[frozenset[int], int], _State] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            automaton = Automaton(*parse(self.pattern))
        except RecursionError:
            raise ValueError("the pattern's groups are nested too deeply") from None
        force_setattr(self, "_automaton", automaton)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LinearPattern) and other.pattern == self.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __copy__(self) -> LinearPattern:
        return LinearPattern(self.pattern)

    def __reduce__(self) -> tuple[type[LinearPattern], tuple[str]]:
        return LinearPattern, (self.pattern,)  # copies and pickles start with an empty cache

    @property
    def cached(self) -> tuple[int, int]:
        """The number of states and moves in the cache."""
        states = self._states.copy().values()
        return len(states), sum(len(state.moves) for state in states)

    def begins(self) -> list[Chars]:
        """Return the characters that a match which is not empty begins with, in sets."""
        reached, pending = set[int](), list(self._automaton.start)
        while pending:
            if (node := pending.pop()) not in reached:
                reached.add(node)
                pending += self._automaton.empty.get(node, (None, ()))[1]
        return [chars for chars, nodes in self._automaton.consuming.items() if nodes & reached]

    def fullmatch(self, value: str) -> bool:
        """Return whether the whole value matches."""
        state = self._state(self._automaton.start, EDGE)
        for char in value:
            following = state.moves.get(char)
            if following is None:
                following = self._move(state, char)
            if not following.nodes:
                return False
            state = following
        return self._accepts(state, EDGE)

    def match_at(self, text: str, start: int, longest: int, *, is_final: bool) -> tuple[int, bool]:
        """Return the end of the longest match that begins at `start`, -1 if there is none.

        The second value says whether more text could make a match, or a longer one.

        Args:
            text: the text; what is before `start` decides about anchors.
            start: where a match must begin.
            longest: the most characters of a match.
            is_final: whether nothing follows the text.
        """
        automaton = self._automaton
        has_anchors = automaton.has_anchors
        before = side_of(text[start - 1]) if has_anchors and start else EDGE
        state, end, size = self._state(automaton.start, before), -1, len(text)
        stop = min(size, start + longest)
        for at in range(start, stop + 1):
            if at < size or is_final:
                after = side_of(text[at]) if has_anchors and at < size else EDGE
                if self._accepts(state, after):
                    end = at
            if at == stop:
                break
            following = state.moves.get(text[at]) or self._move(state, text[at])
            if not following.nodes:
                return end, False
            state = following
        return end, not is_final and stop == size

    def _accepts(self, state: _State, after: int) -> bool:
        if after == EDGE and state.accepts is not None:
            return state.accepts
        accepts = ACCEPT in self._automaton.reach(state.nodes, state.before, after)
        if after == EDGE:
            state.accepts = accepts
        return accepts

    def _move(self, state: _State, char: str) -> _State:
        nodes = self._automaton.step(state.nodes, state.before, char)
        following = self._state(nodes, side_of(char) if self._automaton.has_anchors else EDGE)
        if len(state.moves) >= MAX_MOVES:
            state.moves.clear()
        state.moves[char] = following
        return following

    def _state(self, nodes: frozenset[int], before: int) -> _State:
        state = self._states.get((nodes, before))
        if state is not None:
            return state
        if len(self._states) >= min(MAX_STATES, max(8, _MAX_CELLS // self._automaton.size)):
            for old in self._states.copy().values():
                old.moves.clear()  # break cycles among states, which would wait for the collector
            self._states.clear()
        return self._states.setdefault((nodes, before), _State(nodes, before))
