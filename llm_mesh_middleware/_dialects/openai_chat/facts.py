"""Facts of chat completions and of similar operations, read on the side.

Nearly every piece of a stream consists of events that only continue one choice. The type
`_Continuation` excludes everything else, so that one typed decoding checks all events of a piece;
events that only differ in their text are not decoded again. Other events are read one by one,
leniently.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from ..._core.dialect import EventKind
from ..._core.http.sse import plain_data
from ..._core.values.lenient_json import member_texts
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ..error_objects import reports_error
from ..lenient import LenientDecoder
from .repetition import Repetition
from .usage import ChatUsage, Groq

__all__ = [
    "DONE",
    "ChatFacts",
    "ChatFields",
    "is_completion",
    "lacks_choices",
    "read_completion",
    "read_fields",
    "without_usage",
]

# The data of the event that ends a stream.
DONE = b"[DONE]"

# The limit of choices that are recorded: clients choose their number.
_MAX_CHOICES = 128
_MAX_REASON = 256

# A finish reason that is not text.
_OTHER = "other"


# gc=False: these objects hold no references that could form a cycle, and each event makes some.
class _Choice(msgspec.Struct, gc=False):
    index: int | str | None = None
    finish_reason: object = None
    usage: ChatUsage | None = None  # Moonshot, in streams


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
    choices: Annotated[list[_ContinuedChoice], msgspec.Meta(min_length=1, max_length=1)]
    type: None = None
    usage: None = None
    x_groq: None = None
    error: None = None


class ChatFields(_Facts, gc=False):
    """The members of a response, or of one event, with its progress and its token counts."""

    type: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    x_groq: Groq | None = None
    error: object = None

    @property
    def is_error(self) -> bool:
        """Whether it reports a failure, whose text may repeat anything."""
        if self.error is None and self.type is None:
            return False
        return reports_error(self.error, self.type, has_content=bool(self.choices))

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what a whole response says of itself; `body` is kept with it."""
        facts = ChatFacts()
        facts.add(self)
        facts.events = 0
        return facts.summary(body=body)

    def counted(self) -> Usage | None:
        """Return the token counts."""
        return self.summary(None).usage


class _OnlyChoice(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    usage: None = None


class Completion(_Facts, gc=False, kw_only=True):
    """A whole response as nearly all are: one choice, no error, the counts in their usual place."""

    is_error: ClassVar[bool] = False

    choices: tuple[_OnlyChoice]
    usage: ChatUsage | None = None
    type: None = None
    x_groq: None = None
    error: None = None

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what it says of itself; `body` is kept with it."""
        return AnswerSummary(
            self.id,
            self.model,
            self.system_fingerprint,
            self.service_tier,
            (_reason(self.choices[0].finish_reason),),
            None if self.usage is None else self.usage.counted(),
            0,
            body,
        )

    def counted(self) -> Usage | None:
        """Return the token counts."""
        return None if self.usage is None else self.usage.counted()


read_fields = LenientDecoder(ChatFields)
_decode_deltas = msgspec.json.Decoder(list[_Continuation]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Unread(msgspec.Struct, gc=False):
    """A completion with one choice and no error, of which nothing else is read."""

    choices: tuple[msgspec.Raw]
    type: None = None
    error: None = None


_decode_unread = msgspec.json.Decoder(_Unread).decode
_decode_completion = msgspec.json.Decoder(Completion).decode


def is_completion(body: bytes) -> bool:
    """Return whether a body is a completion as nearly all are; of another, the facts decide."""
    try:
        _decode_unread(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read_completion(body: bytes) -> Completion | None:
    """Return the facts of a completion as nearly all are, None of another body."""
    try:
        return _decode_completion(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# Members that hold a part of a response in one dialect or another.
_CARRIERS = frozenset(("delta", "message", "output", "response", "content", "candidates"))


def lacks_choices(fields: ChatFields, body: bytes) -> bool:
    """Return whether the choices of a completion are null, and no other member has content.

    Gateways return this with status 200 if their own provider has failed; SDKs fail on it.
    """
    if fields.choices is not None or fields.is_error or b'"choices"' not in body:
        return False
    try:
        members = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return bytes(members.get("choices", b"")) == b"null" and _CARRIERS.isdisjoint(members)


# Members that each event of a stream repeats.
_REPEATED = frozenset(
    (
        *("id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"),
        *("usage", "x_groq", "obfuscation", "provider", "error"),
    )
)
_NOTHING = frozenset((b"null", b"[]", b"{}", b'""'))


class ChatFacts:
    """The facts of a stream of chunks so far.

    Args:
        is_single: One choice was requested. Some providers count events with its index, so every
            index means this choice.
    """

    __slots__ = (
        *("_facts", "_is_single", "_open", "_reasons", "_repeated", "_repetition"),
        *("events", "has_failed", "is_done", "usage"),
    )

    def __init__(self, *, is_single: bool = False) -> None:
        self._is_single = is_single
        self.usage: Usage | None = None
        self.events = 0
        self.is_done = False
        self.has_failed = False
        self._facts: _Facts = _NO_FACTS
        self._repetition = Repetition()
        self._repeated: _Facts | None = None  # those of the event that is repeated
        # Index of a choice -> its finish reason; `_open` counts those that have none.
        self._reasons: dict[int, str | None] = {}
        self._open = 0

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end: it had an end marker, or every choice a finish reason."""
        return self.is_done or (not self._open and bool(self._reasons))

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Take the data of an event, and the event's name if it has one."""
        if data.strip(b' \t\r\n"') == DONE:
            self.is_done = True
            return EventKind.CONTENT
        fields = read_fields(data)
        if fields is None:
            return EventKind.UNREADABLE
        self.events += 1
        if name == b"error" or fields.is_error:
            self.has_failed = self.is_done = True
        self.add(fields)
        if self.has_failed:
            return EventKind.ERROR
        if not fields.choices and _is_usage_only(data):
            return EventKind.USAGE
        return EventKind.CONTENT

    def read_deltas(self, data: bytes) -> bool:
        """Read the events of `data` if each is only a delta; otherwise read none."""
        if count := self._repetition.count(data) or self._count_like_last(data):
            self.events += count
            self._facts = self._repeated or self._facts
            return True
        deltas = _deltas_in(data)
        if deltas is None:
            return False
        self.events += len(deltas)
        named = deltas[-1] if deltas[-1].model else None
        self._facts = named or self._facts
        if self._repetition.learn(data):
            self._repeated = named
        self._begin_choices(deltas)
        return True

    def _count_like_last(self, data: bytes) -> int:
        """Return the number of events in `data`, 0 if one of them is not like the last.

        The first piece of a stream may have hundreds, of which one is enough to learn.
        """
        begin = data.rfind(b"\n\n", 0, -2) + 2
        if begin < 2 or not self._repetition.may_learn:
            return 0
        deltas = _deltas_in(data[begin:])
        if deltas is None or not self._repetition.learn(data):
            return 0
        self._repeated = deltas[-1] if deltas[-1].model else None
        count = self._repetition.count(data)
        if count:
            self._begin_choices(deltas)
        return count

    def _begin_choices(self, deltas: list[_Continuation]) -> None:
        if self._is_single:
            if not self._reasons:
                self._begin(0)
            return
        for delta in deltas:
            if (index := delta.choices[0].index) not in self._reasons:
                self._begin(index)

    def add(self, fields: ChatFields) -> None:
        """Take the members of an event, or of a whole response."""
        if fields.id or fields.model:
            self._facts = fields
        for position, choice in enumerate(fields.choices or ()):
            index = 0 if self._is_single else _index(choice.index, position)
            if index not in self._reasons:
                self._begin(index)
            if (reason := _reason(choice.finish_reason)) is not None:
                self._finish(index, reason)
            self._count(choice.usage)
        if fields.x_groq is not None:
            self._count(fields.x_groq.usage)
        self._count(fields.usage)

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return what the events say of the response so far; `body` is kept with it."""
        facts = self._facts
        return AnswerSummary(
            facts.id,
            facts.model,
            facts.system_fingerprint,
            facts.service_tier,
            tuple(map(self._reasons.get, sorted(self._reasons))),
            self.usage,
            self.events,
            body,
        )

    def _begin(self, index: int) -> None:
        if len(self._reasons) < _MAX_CHOICES:
            self._reasons[index] = None
            self._open += 1

    def _finish(self, index: int, reason: str) -> None:
        """Record a finish reason. A choice that has finished stays finished."""
        if index in self._reasons:
            if self._reasons[index] is None:
                self._open -= 1
            self._reasons[index] = reason

    def _count(self, usage: ChatUsage | None) -> None:
        if usage is not None and (counted := usage.counted()) is not None:
            self.usage = counted.after(self.usage)


def _deltas_in(data: bytes) -> list[_Continuation] | None:
    """Return the events of `data` if each is only a delta."""
    events = plain_data(data)
    if events is None:
        return None
    try:
        deltas = _decode_deltas(events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # The numbers differ if an event has several objects.
    return deltas if len(deltas) == data.count(b"\n\n") else None


_NO_FACTS = _Facts()


def _index(given: int | str | None, position: int) -> int:
    if isinstance(given, int):
        return given
    return int(given) if given and given.isdecimal() and len(given) < 10 else position


def _reason(given: object) -> str | None:
    """Return a finish reason; some providers write an empty one into every event."""
    if not given:
        return None
    return given[:_MAX_REASON] if isinstance(given, str) else _OTHER


def _is_usage_only(data: bytes) -> bool:
    """Return whether an event without choices only has usage."""
    present = {name for name, value in _members(data).items() if bytes(value) != b"null"}
    return "usage" in present and _CARRIERS.isdisjoint(present)


def without_usage(data: bytes) -> bytes:
    """Return an event without its usage, or nothing if it has no other content."""
    members = _members(data)
    if all(name in _REPEATED or bytes(members[name]) in _NOTHING for name in members):
        return b""
    members.pop("usage")
    # The event's data may have come in several lines.
    return msgspec.json.encode(members).replace(b"\n", b" ")


def _members(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode_members(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        texts = dict(member_texts(data.decode("utf-8-sig")))
    except ValueError:
        return {}
    return {name: msgspec.Raw(text.encode()) for name, text in texts.items()}
