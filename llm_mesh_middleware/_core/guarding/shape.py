"""A guard of the form of answers: JSON that fits a schema.

    text of an answer, arguments of a call ──> JSON?  no > NOT_JSON
                                               fits?  no > NOT_IN_SCHEMA

An answer can only be judged at its end, so a stream is held back until then; keep-alive comments
pass. Reasoning and refusals are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from ...exceptions import ContentBlocked
from ..dialect import Dialect, EventKind
from ..http.sse import EventCutter, event_data, event_name
from ..texts import AnswerContent
from ..values.messages import ClientRequest
from .events.stream import MAX_HELD_BYTES
from .guard import Guard, Report

__all__ = ["Fits", "SchemaGuard", "ShapedStream", "judge"]

_MAX_EVENT_BYTES = 16 * 2**20
_decode = msgspec.json.Decoder().decode

# Returns the position in the schema at which a JSON value fails, None if it fits.
Fits = Callable[[object], str | None]


class SchemaGuard(msgspec.Struct, frozen=True, kw_only=True):
    """A guard of the form of answers.

    Attributes:
        guard: the action on findings; its scanner is not used.
        answer: the schema for the text of an answer.
        tools: the schemas for the arguments of calls, by the name of the tool.
    """

    guard: Guard
    answer: Fits | None = None
    tools: Mapping[str, Fits] = {}

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the guard applies to a request."""
        return self.guard.holds(request)


def judge(shape: SchemaGuard, contents: Iterator[AnswerContent], report: Report) -> None:
    """Report the first misfit of each answer.

    Raises:
        ContentBlocked: the guard denies it.
    """
    guard = shape.guard
    for each in contents:
        fault = _fault(shape, each)
        if fault is None:
            continue
        entity, where = fault
        report(guard, entity)
        if guard.effect == "deny":
            message = guard.message or f"the guard {guard.name!r} of this LLM mesh blocks {where}"
            raise ContentBlocked(message, status=guard.status, guard=guard.name)


def _fault(shape: SchemaGuard, content: AnswerContent) -> tuple[str, str] | None:
    """Return the entity of a misfit and its description, without any content of the answer."""
    # Only a text is judged; an answer may have just calls or a refusal.
    if shape.answer is not None and (content.text or not (content.calls or content.is_refusal)):
        fault = _misfit(content.text, shape.answer)
        if fault is not None:
            return fault[0], f"an answer that {fault[1]}"
    for name, arguments in content.calls:
        fits = shape.tools.get(name)
        fault = None if fits is None else _misfit(arguments, fits)
        if fault is not None:
            return fault[0], f"a call of {name!r} whose arguments are not right: it {fault[1]}"
    return None


def _misfit(text: str, fits: Fits) -> tuple[str, str] | None:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "NOT_JSON", "is not JSON"
    where = fits(value)
    return None if where is None else ("NOT_IN_SCHEMA", f"does not fit: {where}")


class ShapedStream:
    """Holds the events of a stream until the answer is complete and judged."""

    released = b""

    def __init__(self, dialect: Dialect, judged: Callable[[Iterator[AnswerContent]], None]) -> None:
        """`judged` raises `ContentBlocked` for an answer that must not pass."""
        self._answers = dialect.answers
        self._facts = dialect.facts()
        self._judged = judged
        self._cutter = EventCutter(_MAX_EVENT_BYTES)
        self._held: list[bytes] = []
        self._size = 0
        self._has_failed = False
        self.events = 0

    def feed(self, data: bytes) -> bytes:
        """Return what may be sent now: comments, and an error event with what follows it.

        Raises:
            ContentBlocked: the answer is too long to be held.
        """
        return b"".join([each for event in self._cutter.feed(data) for each in self._take(event)])

    def finish(self) -> bytes:
        """Return the events of an answer that passes.

        Raises:
            ContentBlocked: it does not pass, or is incomplete.
        """
        rest = b"".join(self._take(self._cutter.rest()))
        if self._has_failed:
            return rest
        events = b"".join(self._held)
        whole = self._answers.join(events, None)
        if whole is None:
            raise ContentBlocked("the response is not one whose form can be checked")
        self._judged(self._answers.contents(whole))
        return events + rest

    def _take(self, event: bytes) -> Iterator[bytes]:
        data = event_data(event)
        if not data:
            yield event
            return
        self.events += 1
        # An error replaces the answer, whose part so far was never judged and is dropped.
        if self._facts.read(data, event_name(event)) is EventKind.ERROR:
            self._has_failed = True
        if self._has_failed:
            yield event
            return
        self._size += len(event)
        if self._size > MAX_HELD_BYTES:
            raise ContentBlocked("the response is longer than can be held to be checked")
        self._held.append(event)
