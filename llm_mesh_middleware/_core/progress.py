"""What is read of an answer on the side: whether it is complete, and its token counts."""

from __future__ import annotations

import msgspec

from .payload import is_json
from .usage import Usage, UsageFields

__all__ = ["AnswerFields", "StreamProgress", "read_answer"]


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None


class _Response(msgspec.Struct):
    usage: UsageFields | None = None


class AnswerFields(msgspec.Struct):
    """The members of an answer or of one of its events that say how far it is and what it took.

    `response` holds the usage in the events of the Responses API.
    """

    type: str | None = None
    choices: list[_Choice] | None = None
    usage: UsageFields | None = None
    response: _Response | None = None
    error: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(AnswerFields).decode

DONE = b"[DONE]"

# The last event of the dialects that do not say [DONE].
_LAST_TYPES = frozenset(
    ("message_stop", "response.completed", "response.failed", "response.incomplete")
)


def read_answer(body: bytes) -> AnswerFields | None:
    """The members of interest; None if `body` is not one whole JSON value.

    A member of an unexpected type hides them all: an odd answer is passed on, not refused.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        return AnswerFields() if is_json(body) else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


class StreamProgress:
    """How far a stream of events has come."""

    __slots__ = ("_is_done", "_unfinished", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._is_done = False
        self._unfinished: set[int] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here: it said so, or every choice has its finish reason."""
        return self._is_done or self._unfinished == set()

    def see(self, data: bytes) -> AnswerFields | None:
        """Take the data of an event; its members, or None if it is neither JSON nor [DONE]."""
        if data == DONE:
            self._is_done = True
            return AnswerFields()
        fields = read_answer(data)
        if fields is None:
            return None
        if fields.error is not None or fields.type in _LAST_TYPES:
            self._is_done = True
        for choice in fields.choices or ():
            self._unfinished = self._unfinished if self._unfinished is not None else set()
            if choice.finish_reason is None:
                self._unfinished.add(choice.index)
            else:
                self._unfinished.discard(choice.index)
        usage = fields.usage or (fields.response and fields.response.usage)
        if usage:
            self.usage = usage.normalised() or self.usage
        return fields
