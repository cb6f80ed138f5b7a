"""One text, whole or in pieces, as guards let it pass.

    buffer   ... context | text that may still become a finding
                         ^ decided: everything before it has been judged

Findings that begin before the place from which a recogniser wants to see more are final. A mask
replaces its part of the text; whoever holds the pieces asks for what is left of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from .finding import MAX_CONTEXT, Finding
from .guard import Guard, Report, blocked
from .placeholders import Placeholders

__all__ = ["Inspection", "Window", "inspect"]

# A finding must not begin in the middle of an escape of JSON.
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_encode_text = msgspec.json.encode


class Inspection(msgspec.Struct, frozen=True):
    """What the texts of one request, or of one response, are inspected with.

    `masked` returns what takes the place of a guard's finding, given its entity and the value.
    `values`, if any, are put back in place of their placeholders.
    """

    guards: Sequence[Guard]
    report: Report
    masked: Callable[[Guard, str, str], str]
    values: Placeholders | None = None


class Window:
    """A text that comes in pieces. In JSON text a mask keeps the JSON valid."""

    __slots__ = (
        "_buffer",
        "_guards",
        "_in_string",
        "_inspection",
        "_is_escaped",
        "_is_json",
        "_masked_until",
        "_offset",
        "_spans",
        "decided",
        "size",
    )

    def __init__(self, inspection: Inspection, *, is_json: bool = False) -> None:
        """Begin an empty text."""
        self._inspection = inspection
        self._guards = tuple(inspection.guards)
        self._is_json = is_json
        self._in_string = self._is_escaped = False
        self._buffer = ""
        self._offset = 0  # of the buffer in the text
        self._spans: list[tuple[int, int, str]] = []
        self._masked_until = 0
        self.decided = 0
        self.size = 0

    def feed(self, text: str, *, is_final: bool = False) -> None:
        """Take more of the text.

        Raises:
            ContentBlocked: a guard denies it.
        """
        self._buffer += text
        self.size += len(text)
        buffer, begin = self._buffer, self.decided - self._offset
        end = len(buffer) if is_final else max(begin, self._held_from(buffer))
        found: list[tuple[Finding, Guard | None]] = []
        for each in self._guards:
            found += [
                (finding, each)
                for finding in each.scanner.find(buffer, is_final=is_final)
                if begin <= finding.start < end
            ]
        values = self._inspection.values
        if values is not None:
            found += [
                (finding, None)
                for finding in values.find(buffer, is_final=is_final)
                if begin <= finding.start < end
            ]
        found.sort(key=lambda each: (each[0].start, -each[0].end))
        at = begin
        for finding, guard in found:
            if self._is_json:
                self._read_quotes(buffer, at, finding.start)
                at = finding.start
            self._act(finding, guard)
        if self._is_json:
            self._read_quotes(buffer, at, end)
        self.decided = self._offset + end
        if (spare := end - MAX_CONTEXT) > 0:
            self._buffer = buffer[spare:]
            self._offset += spare

    @property
    def undecided(self) -> str:
        """The end of the text, which has not been decided."""
        return self._buffer[self.decided - self._offset :]

    def left_of(self, start: int, piece: str) -> str:
        """Return what is left of the piece that begins at `start`, which has been decided."""
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

    def _held_from(self, buffer: str) -> int:
        held = [guard.scanner.held_from(buffer) for guard in self._guards]
        if self._inspection.values is not None:
            held.append(self._inspection.values.held_from(buffer))
        return min(held, default=len(buffer))

    def _act(self, finding: Finding, guard: Guard | None) -> None:
        """Do what the guard says about a finding."""
        if guard is not None:
            self._inspection.report(guard, finding.entity)
            if guard.effect == "deny":
                raise blocked(guard)
            if guard.effect != "mask":
                return
        start = finding.start
        if self._is_json:
            start = self._after_escape(start)
        begin, end = self._offset + start, self._offset + finding.end
        if begin < self._masked_until or begin >= end:
            return
        value = self._buffer[start : finding.end]
        self._spans.append((begin, end, self._replacement(value, finding.entity, guard)))
        self._masked_until = end

    def _replacement(self, value: str, entity: str, guard: Guard | None) -> str:
        if guard is None:
            values = self._inspection.values
            text = (values.value(value) if values is not None else None) or value
            return _encode_text(text)[1:-1].decode() if self._is_json else text
        text = self._inspection.masked(guard, entity, value)
        if self._is_json and not self._in_string:  # a number becomes a text
            return f'"{text}"'
        return text

    def _after_escape(self, start: int) -> int:
        """Return the start of a finding without the end of an escape such as `\\n`."""
        for begin in (start - 1, start - 2, start - 3, start - 4, start - 5):
            if begin >= 0 and self._buffer[begin] == "\\":
                escape = _ESCAPE.match(self._buffer, begin)
                backslashes = begin - len(self._buffer[: begin + 1].rstrip("\\")) + 1
                if escape is not None and escape.end() > start and backslashes % 2:
                    return escape.end()
        return start

    def _read_quotes(self, buffer: str, begin: int, end: int) -> None:
        """Keep track of whether the text is inside a string of its JSON."""
        for char in buffer[begin:end]:
            if self._is_escaped:
                self._is_escaped = False
            elif char == "\\":
                self._is_escaped = self._in_string
            elif char == '"':
                self._in_string = not self._in_string


def inspect(text: str, inspection: Inspection, *, is_json: bool = False) -> str:
    """Return what guards leave of a whole text.

    Raises:
        ContentBlocked: a guard denies it.
    """
    window = Window(inspection, is_json=is_json)
    window.feed(text, is_final=True)
    return window.left_of(0, text)
