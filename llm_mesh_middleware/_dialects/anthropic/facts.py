"""Facts of messages, whole or in events, read on the side."""

from __future__ import annotations

import msgspec

from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ..error_objects import reports_error
from ..lenient import LenientDecoder
from ..same.named_events import NamedEventFacts
from .usage import MessageUsage

__all__ = ["MessageFacts", "read_message"]

_MAX_REASON = 256


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: MessageUsage | None = None
    stop_reason: str | None = None


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    message: _Message | None = None
    delta: _Delta | None = None
    usage: MessageUsage | None = None
    error: object = None


class MessageFields(_Message, gc=False):
    """The members of a whole message that say what it is and what it took."""

    type: str | None = None
    error: object = None

    @property
    def is_error(self) -> bool:
        """Whether it is an error object."""
        return reports_error(self.error, self.type, has_content=self.type == "message")

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what it says of itself; `body` is kept with it."""
        facts = MessageFacts()
        facts.take(self)
        return facts.summary(body=body)

    def counted(self) -> Usage | None:
        """Return its token counts."""
        return self.summary(None).usage


read_message = LenientDecoder(MessageFields)


class MessageFacts(NamedEventFacts[_Event]):
    """The facts of a stream of named events so far."""

    __slots__ = ("_message", "_reason", "_usage")

    decode = LenientDecoder(_Event)
    last_types = frozenset(("message_stop",))

    def __init__(self) -> None:
        super().__init__()
        self._message = _Message()
        self._usage: MessageUsage | None = None
        self._reason: str | None = None

    @property
    def usage(self) -> Usage | None:
        """The token counts so far."""
        return None if self._usage is None else self._usage.counted()

    def take_event(self, event: _Event, type: str) -> bool:
        """Take the facts of an event of this type; return whether it reports a failure."""
        if event.message is not None:
            self.take(event.message)
        if event.delta is not None and event.delta.stop_reason:
            self._reason = event.delta.stop_reason[:_MAX_REASON]
        if event.usage is not None:
            self._usage = event.usage.after(self._usage)
        return reports_error(event.error, type, has_content=False)

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return what the events say of the message so far; `body` is kept with it."""
        message = self._message
        reasons = () if self._reason is None else (self._reason,)
        usage, events = self.usage, self.events
        return AnswerSummary(message.id, message.model, None, None, reasons, usage, events, body)

    def take(self, message: _Message) -> None:
        """Take a whole message, or the one that a stream begins with."""
        if message.id or message.model:
            self._message = message
        if message.stop_reason:
            self._reason = message.stop_reason[:_MAX_REASON]
        if message.usage is not None:
            self._usage = message.usage.after(self._usage)
