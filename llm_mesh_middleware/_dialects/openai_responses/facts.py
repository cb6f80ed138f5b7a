"""Facts of responses, whole or in events, read on the side."""

from __future__ import annotations

import msgspec

from ..._core.dialect import EventKind
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ..error_objects import reports_error
from ..lenient import LenientDecoder
from .usage import ResponseUsage

__all__ = ["ResponseFacts", "read_response"]

# The events that end a stream; the first two report a failure.
_FAILURES = frozenset(("error", "response.failed"))
_LAST = _FAILURES | {"response.completed", "response.incomplete", "response.cancelled"}


class _Details(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Details | None = None
    service_tier: str | None = None
    usage: ResponseUsage | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    response: _Response | None = None
    error: object = None


class ResponseFields(_Response, gc=False):
    """The members of a whole response with its kind and its token counts."""

    type: str | None = None
    error: object = None
    kind: str | None = msgspec.field(default=None, name="object")

    @property
    def is_error(self) -> bool:
        """Whether it is an error object; a failed response is not one."""
        is_response = self.kind == "response"
        return not is_response and reports_error(self.error, self.type, has_content=False)

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what it says of itself; `body` is kept with it."""
        return _summary(self, self.counted(), body=body)

    def counted(self) -> Usage | None:
        """Return its token counts."""
        return None if self.usage is None else self.usage.counted()


read_response = LenientDecoder(ResponseFields)
_read_event = LenientDecoder(_Event)
_NO_RESPONSE = _Response()


class ResponseFacts:
    """The facts of a stream of named events so far."""

    __slots__ = ("_response", "events", "has_failed", "is_done", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.events = 0
        self.is_done = False
        self.has_failed = False
        self._response = _NO_RESPONSE

    @property
    def is_complete(self) -> bool:
        """Whether the stream has said that it ends."""
        return self.is_done

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Take the data of an event, and its name, which stands in for a missing `type`."""
        if data.strip() == b"[DONE]":  # some servers end every stream with it
            self.is_done = True
            return EventKind.CONTENT
        event = _read_event(data)
        if event is None:
            return EventKind.UNREADABLE
        self.events += 1
        type = event.type or name.decode("latin-1")
        self._take(event.response)
        if type in _FAILURES or event.error:
            self.has_failed = True
        self.is_done = self.is_done or self.has_failed or type in _LAST
        return EventKind.ERROR if self.has_failed else EventKind.CONTENT

    def read_deltas(self, data: bytes) -> bool:
        """Take none: each event has a name."""
        return False

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return what the events say of the response so far; `body` is kept with it."""
        return _summary(self._response, self.usage, events=self.events, body=body)

    def _take(self, response: _Response | None) -> None:
        if response is None:
            return
        if response.id or response.model:
            self._response = response
        if response.usage is not None and (counted := response.usage.counted()) is not None:
            self.usage = counted.after(self.usage)


def _summary(
    response: _Response, usage: Usage | None, *, events: int = 0, body: bytes | None
) -> AnswerSummary:
    tier, finishes = response.service_tier, _finishes(response)
    return AnswerSummary(response.id, response.model, None, tier, finishes, usage, events, body)


def _finishes(response: _Response) -> tuple[str, ...]:
    """Return why a response ended, in the words of completions, which have no word for calls."""
    if response.status == "completed":
        return ("stop",)
    if response.status != "incomplete":
        return ()
    details = response.incomplete_details
    reason = None if details is None else details.reason
    return ("content_filter",) if reason == "content_filter" else ("length",)
