"""One text, whole or in pieces, checked and masked by guards.

    buffer   ... context | text that may still become a finding
                         ^ decided: everything before it has been judged

Findings that begin before `held_from` of their recogniser are final. A mask replaces its part of
the text; the owner of the pieces gets the masked form of each from `left_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec

from ...exceptions import ContentBlocked
from .finding import MAX_CONTEXT, Finding
from .guard import Guard, Report, blocked
from .json_text import JSONText
from .outlines import Outlines, of_text
from .placeholders import Placeholders

__all__ = ["Inspection", "Window", "inspect"]

_NUMBER = re.compile(r"[0-9.eE+-]+")
# Decided text is kept up to this length: forgetting it with each piece would cost more.
_MAX_BUFFER = 500
# The outlines of longer texts are seldom known.
_LONGEST_GLANCE = 40
# There is nothing to find.
_ANY = Outlines(lambda text, begin: len(text))
_encode_text = msgspec.json.encode


class Inspection(msgspec.Struct, frozen=True):
    """How the texts of one request, or of one response, are inspected.

    `masked` returns the replacement of a guard's finding, given its entity and the value. `values`,
    if any, are restored in place of their placeholders.
    """

    guards: Sequence[Guard]
    report: Report
    masked: Callable[[Guard, str, str], str]
    values: Placeholders | None = None


class Window:
    """A text that arrives in pieces. In JSON text a mask keeps the JSON valid.

    `size` and `decided` count written characters, with escapes, while recognisers see plain ones.
    `outlines` judges such texts, if outlines are enough for that.
    """

    __slots__ = (
        "_buffer",
        "_guards",
        "_inspection",
        "_json",
        "_masked_until",
        "_offset",
        "_plain_decided",
        "_clear_until",
        "_spans",
        "decided",
        "outlines",
        "size",
    )

    def __init__(self, inspection: Inspection, *, is_json: bool = False) -> None:
        """Begin an empty text."""
        self._inspection = inspection
        self._guards = tuple(inspection.guards)
        self._json = JSONText() if is_json else None
        self._buffer = ""
        self._offset = 0  # of the buffer in the text
        self._spans: list[tuple[int, int, str]] = []
        # The common case: there is only one guard, and nothing to restore.
        is_one = len(self._guards) == 1 and not is_json and inspection.values is None
        self._clear_until = self._guards[0].scanner.clear_until if is_one else None
        self.outlines = None if is_json else _outlines(inspection)
        self._masked_until = 0
        self._plain_decided = 0
        self.decided = 0
        self.size = 0

    def feed(self, text: str, *, is_final: bool = False) -> None:
        """Take more of the text.

        Raises:
            ContentBlocked: a guard denies it.
        """
        if self._json is None:
            self.size += len(text)
            self._buffer += text
        else:
            self._grow(text, is_final=is_final)
        if self.outlines is not None and self._is_judged(self.outlines, is_final=is_final):
            return
        if self._clear_until is not None and not is_final:
            begin = self._plain_decided - self._offset
            end = self._clear_until(self._buffer, begin)
            if end >= 0:
                if end > begin:
                    self._plain_decided = self.decided = self._offset + end
                    if end > _MAX_BUFFER:
                        self._forget(end - MAX_CONTEXT)
                return
            self._decide(is_final=False)
            return
        if is_final or not self._glance():
            self._decide(is_final=is_final)

    def _is_judged(self, outlines: Outlines, *, is_final: bool) -> bool:
        """Decide what an outline shows to have no finding; return whether it does."""
        if len(self._buffer) - (self._plain_decided - self._offset) > _LONGEST_GLANCE:
            return False
        # No finding goes beyond the end of a line.
        left = outlines.judge(self.outline() + (b"\n" if is_final else b""))
        if left:
            self._end_at(len(self._buffer) - (0 if is_final else len(left.decode()) - 1))
        return bool(left)

    def outline(self) -> bytes:
        """Return the outline of what is undecided."""
        return of_text(self._buffer, self._plain_decided - self._offset)

    def before(self, size: int) -> str:
        """Return the context of the last `size` characters."""
        end = len(self._buffer) - size
        return self._buffer[max(0, end - MAX_CONTEXT) : end]

    def go_on(self, before: str, text: str, undecided: int) -> int:
        """Go on behind a text that was judged without this window.

        Args:
            before: the end of what is forgotten.
            text: what follows that.
            undecided: how many of its last characters are undecided.

        Returns:
            where `text` begins.
        """
        self._offset, self._buffer = self.size, before + text
        self.size = self._offset + len(self._buffer)
        self.decided = self._plain_decided = self.size - undecided
        return self._offset + len(before)

    @property
    def undecided(self) -> str:
        """The end of the text, which has not been decided."""
        return self._buffer[self._plain_decided - self._offset :]

    @property
    def has_masks(self) -> bool:
        """Whether `left_of` has not returned every replaced part yet."""
        return bool(self._spans)

    def left_of(self, start: int, piece: str) -> str:
        """Return the masked form of the decided piece that begins at `start`."""
        end, at = start + len(piece), start
        left: list[str] = []
        for begin, stop, text in self._spans:
            if begin >= end:
                break
            if stop <= at:
                continue
            if begin >= at:
                left += (piece[at - start : begin - start], text)
            at = min(stop, end)
        self._spans = [span for span in self._spans if span[1] > end]
        if at == start and not left:
            return piece
        left.append(piece[at - start :])
        return "".join(left)

    def _grow(self, text: str, *, is_final: bool) -> None:
        self.size += len(text)
        if self._json is not None:
            text = self._json.feed(text, is_final=is_final)
        self._buffer += text

    def _glance(self) -> bool:
        """Decide a text that passes the quick tests; return whether it does."""
        buffer, begin = self._buffer, self._plain_decided - self._offset
        end, values = len(buffer), self._inspection.values
        for guard in self._guards:
            quiet = guard.scanner.clear_until(buffer, begin)
            if quiet < 0:
                return False
            if quiet < end:
                end = quiet
        if values is not None and buffer.find("[", begin) >= 0:
            return False
        if end > begin:
            self._end_at(end)
        return True

    def _decide(self, *, is_final: bool) -> None:
        self._forget(self._plain_decided - self._offset - MAX_CONTEXT)
        buffer, begin = self._buffer, self._plain_decided - self._offset
        end = len(buffer) if is_final else max(begin, self._held_from(buffer))
        found: list[tuple[Finding, Guard | None]] = []
        for each in self._guards:
            here = (
                (finding, each)
                for finding in each.scanner.find(buffer, is_final=is_final)
                if begin <= finding.start < end
            )
            # The first finding of a guard that denies ends the text.
            found += islice(here, 1) if each.effect == "deny" else here
        values = self._inspection.values
        if values is not None:
            found += [
                (finding, None)
                for finding in values.find(buffer, is_final=is_final)
                if begin <= finding.start < end
            ]
        found.sort(key=lambda each: (each[0].start, -each[0].end))
        for finding, guard in found:
            self._act(finding, guard)
        self._end_at(end)

    def _end_at(self, end: int) -> None:
        """Mark the buffer as decided up to `end`."""
        self._plain_decided = decided = self._offset + end
        self.decided = decided if self._json is None else self._json.written(decided)
        if end > _MAX_BUFFER:
            self._forget(end - MAX_CONTEXT)

    def _forget(self, spare: int) -> None:
        """Forget the first `spare` characters, which are not context for the rest."""
        if spare <= 0:
            return
        self._buffer = self._buffer[spare:]
        self._offset += spare
        if self._json is not None:
            self._json.forget(self._offset)

    def _held_from(self, buffer: str) -> int:
        held = [guard.scanner.held_from(buffer) for guard in self._guards]
        if self._inspection.values is not None:
            held.append(self._inspection.values.held_from(buffer))
        return min(held, default=len(buffer))

    def _act(self, finding: Finding, guard: Guard | None) -> None:
        """Apply the action of the guard to a finding, or restore a value."""
        if guard is not None:
            self._inspection.report(guard, finding.entity)
            if guard.effect == "deny":
                raise blocked(guard)
            if guard.effect != "mask":
                return
        start, end = self._offset + finding.start, self._offset + finding.end
        if start < self._masked_until:
            return
        value = self._buffer[finding.start : finding.end]
        for begin, stop, is_quoted in self._parts(start, end):
            text = self._replacement(value, finding.entity, guard)
            text = f'"{text}"' if is_quoted else text
            self._spans.append((self._written(begin), self._written(stop), text))
        self._masked_until = end

    def _parts(self, start: int, end: int) -> list[tuple[int, int, bool]]:
        """Return the spans that a mask replaces, and whether the mask needs quotes.

        Raises:
            ContentBlocked: the finding cannot be replaced without breaking the JSON.
        """
        if self._json is None:
            return [(start, end, False)]
        parts = list(self._json.parts(start, end))
        inside = [(begin, stop, False) for begin, stop, is_inside in parts if is_inside]
        if inside:
            return inside
        # A number is replaced by a string.
        if len(parts) == 1 and _NUMBER.fullmatch(
            self._buffer, start - self._offset, end - self._offset
        ):
            return [(start, end, True)]
        raise ContentBlocked("what must be masked is part of the structure of JSON")

    def _written(self, at: int) -> int:
        return at if self._json is None else self._json.written(at)

    def _replacement(self, value: str, entity: str, guard: Guard | None) -> str:
        if guard is not None:
            return self._inspection.masked(guard, entity, value)
        values = self._inspection.values
        text = (values.value(value) if values is not None else None) or value
        return text if self._json is None else _encode_text(text)[1:-1].decode()


def _outlines(inspection: Inspection) -> Outlines | None:
    """Return what judges outlines for an inspection that looks for one kind of text at most."""
    guards, values = inspection.guards, inspection.values
    if not guards:
        return _ANY if values is None else values.outlines
    return guards[0].scanner.outlines if len(guards) == 1 and values is None else None


def inspect(text: str, inspection: Inspection, *, is_json: bool = False) -> str:
    """Return a whole text, masked by its guards.

    Raises:
        ContentBlocked: a guard denies it.
    """
    if _is_plain(text, inspection, is_json=is_json):
        return text
    window = Window(inspection, is_json=is_json)
    window.feed(text, is_final=True)
    return window.left_of(0, text)


def _is_plain(text: str, inspection: Inspection, *, is_json: bool) -> bool:
    """Return whether a text has no finding, as most texts."""
    if is_json and "\\" in text:
        return False
    if inspection.values is not None and "[" in text:
        return False
    return not any(finding for guard in inspection.guards for finding in guard.scanner.find(text))
