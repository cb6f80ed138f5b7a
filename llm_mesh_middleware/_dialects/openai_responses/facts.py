"""Facts of responses, whole or in events, read on the side."""

from __future__ import annotations

import msgspec

from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ..error_objects import reports_error
from ..lenient import LenientDecoder
from ..same.named_events import NamedEventFacts
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
_NO_RESPONSE = _Response()


class ResponseFacts(NamedEventFacts[_Event]):
    """The facts of a stream of named events so far."""

    __slots__ = ("_response", "usage")

    decode = LenientDecoder(_Event)
    last_types = _LAST

    def __init__(self) -> None:
        super().__init__()
        self.usage: Usage | None = None
        self._response = _NO_RESPONSE

    def take_event(self, event: _Event, type: str) -> bool:
        """Take the facts of an event of this type; return whether it reports a failure."""
        response = event.response
        if response is not None:
            if response.id or response.model:
                self._response = response
            if response.usage is not None and (counted := response.usage.counted()) is not None:
                self.usage = counted.after(self.usage)
        return type in _FAILURES or bool(event.error)

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return what the events say of the response so far; `body` is kept with it."""
        return _summary(self._response, self.usage, events=self.events, body=body)


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
