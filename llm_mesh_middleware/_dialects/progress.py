"""What is read of an answer on the side: whether it is complete, and its token counts."""

from __future__ import annotations

import contextlib
from typing import Annotated, Literal

import msgspec

from .._core.values.payload import Fields, is_json
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage, UsageFields

__all__ = ["AnswerFields", "StreamProgress", "read_answer"]


# Never part of a cycle: the collector need not look at what every event makes anew.
class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    finish_reason: str | None = None
    usage: UsageFields | None = None  # Moonshot, in streams


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: UsageFields | None = None


class _Facts(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


class _ContinuedChoice(msgspec.Struct, gc=False):
    index: int = 0
    finish_reason: Literal[""] | None = None
    usage: None = None


class _Continuation(_Facts, gc=False, kw_only=True):
    """An event that only continues one choice, as nearly every event of a stream does.

    What it must not have is part of the type, so that decoding it is all the checking there is.
    """

    choices: Annotated[list[_ContinuedChoice], msgspec.Meta(min_length=1, max_length=1)]
    type: None = None
    usage: None = None
    response: None = None
    error: None = None


class AnswerFields(_Facts, gc=False):
    """The members of an answer or of one of its events that say how far it is and what it took.

    `response` holds the usage in the events of the Responses API, `message` in the first event of
    Anthropic's, whose last ones have a `delta` of the message.
    """

    type: str | None = None
    choices: list[_Choice] | None = None
    usage: UsageFields | None = None
    response: _Response | None = None
    message: _Response | None = None
    delta: _Delta | str | None = None
    stop_reason: str | None = None
    error: object = None

    def summary(self, body: bytes | None) -> AnswerSummary:
        """The answer in short, if this is a whole one; `body` is kept with it."""
        if self._is_plain():  # as all but a few are
            return AnswerSummary(
                self.id,
                self.model,
                self.system_fingerprint,
                self.service_tier,
                tuple([choice.finish_reason or None for choice in self.choices or ()]),
                None if self.usage is None else self.usage.normalised(),
                0,
                body,
            )
        progress = StreamProgress()
        progress.add(self)
        return progress.summary(events=0, body=body)

    def _is_plain(self) -> bool:
        """Whether all there is to know stands in the members of a chat completion."""
        return (
            self.id is not None
            and self.choices is not None
            and len(self.choices) == 1
            and self.choices[0].usage is None
            and self.response is None
            and self.message is None
            and self.delta is None
            and self.stop_reason is None
        )

    @property
    def is_error(self) -> bool:
        """Whether it tells of a failure; its text may repeat anything."""
        return self.error is not None or self.type in _ERROR_TYPES

    @property
    def is_usage_only(self) -> bool:
        """Whether it is the event that `stream_options.include_usage` adds to a stream."""
        return self.usage is not None and not (self.choices or self.type or self.is_error)


_decode = msgspec.json.Decoder(AnswerFields).decode
_decode_deltas = msgspec.json.Decoder(list[_Continuation]).decode
_decode_members = msgspec.json.Decoder(Fields).decode
_MEMBERS = {
    field.name: msgspec.json.Decoder(field.type).decode
    for field in msgspec.structs.fields(AnswerFields)
}

DONE = b"[DONE]"

# Events of the Responses API, which tell of a failure without an `error` of their own.
_ERROR_TYPES = frozenset(("error", "response.failed"))

# The last event of the dialects that do not say [DONE].
_LAST_TYPES = frozenset(("message_stop", "response.completed", "response.incomplete"))


def read_answer(body: bytes) -> AnswerFields | None:
    """The members of interest; None if `body` is not one whole JSON value.

    A member of an unexpected type counts as absent: an odd answer is passed on, not refused.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        return _read_loosely(body) if is_json(body) else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _read_loosely(body: bytes) -> AnswerFields:
    """Each member for itself."""
    answer = AnswerFields()
    try:
        members = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # no object, or a name that is no text
        return answer
    for name, decode in _MEMBERS.items():
        with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if name in members:
                setattr(answer, name, decode(members[name]))
    return answer


class StreamProgress:
    """How far a stream of events has come."""

    __slots__ = ("_facts", "_reasons", "_unfinished", "events", "has_failed", "is_done", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.events = 0
        self._facts: _Facts | _Response | None = None
        self._reasons: dict[int, str] = {}
        self.is_done = False
        self.has_failed = False
        self._unfinished: set[int] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here: it said so, or every choice has its finish reason."""
        return self.is_done or self._unfinished == set()

    def see(self, data: bytes) -> AnswerFields | None:
        """Take the data of an event; its members, or None if it is neither JSON nor [DONE]."""
        if data.strip() == DONE:
            self.is_done = True
            return AnswerFields()
        fields = read_answer(data)
        if fields is not None:
            self.events += 1
            self.add(fields)
        return fields

    def see_deltas(self, events: bytes) -> bool:
        """Take a JSON array of events if every one is a mere delta; else take none of them."""
        try:
            deltas = _decode_deltas(events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        self.events += len(deltas)
        self._facts = deltas[-1]
        if self._unfinished is None:
            self._unfinished = set()
        for delta in deltas:
            self._unfinished.add(delta.choices[0].index)
        return True

    def add(self, fields: AnswerFields) -> None:
        """Take the members of an event, or of a whole answer."""
        inner = fields.response or fields.message
        if fields.id is not None or fields.model is not None:
            self._facts = fields
        elif inner is not None:
            self._facts = inner
        if inner is not None:
            self._count(inner.usage)
        if fields.is_error:
            self.has_failed = self.is_done = True
        elif fields.type in _LAST_TYPES:
            self.is_done = True
        for choice in fields.choices or ():
            self._unfinished = self._unfinished if self._unfinished is not None else set()
            if not choice.finish_reason:  # some providers write an empty one into every event
                self._unfinished.add(choice.index)
            else:
                self._unfinished.discard(choice.index)
                self._reasons[choice.index] = choice.finish_reason
            self._count(choice.usage)
        delta = fields.delta.stop_reason if isinstance(fields.delta, _Delta) else None
        if reason := fields.stop_reason or delta:
            self._reasons[0] = reason
        self._count(fields.usage)

    def _count(self, usage: UsageFields | None) -> None:
        if usage is not None:
            self.usage = usage.after(self.usage)

    def summary(self, *, events: int | None = None, body: bytes | None = None) -> AnswerSummary:
        """What has been seen, in short."""
        facts = self._facts or AnswerFields()
        return AnswerSummary(
            facts.id,
            facts.model,
            facts.system_fingerprint if isinstance(facts, _Facts) else None,
            facts.service_tier,
            tuple(
                map(self._reasons.get, sorted(self._reasons.keys() | (self._unfinished or set())))
            ),
            self.usage,
            self.events if events is None else events,
            body,
        )
