"""Facts of generated content, whole or in events, read on the side.

No event ends a stream: it is complete when each candidate has a finish reason.
"""

from __future__ import annotations

import msgspec

from ..._core.dialect import EventKind
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ..error_objects import reports_error
from ..lenient import LenientDecoder
from .usage import GeminiUsage

__all__ = ["GeminiFacts", "GeminiFields", "read_response"]

_MAX_REASON = 256
_MAX_CANDIDATES = 128


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    index: int = 0
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class GeminiFields(msgspec.Struct, rename="camel", gc=False):
    """The members that say whether a response is complete, and what it used."""

    response_id: str | None = None
    model_version: str | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: GeminiUsage | None = None
    error: object = None

    @property
    def is_error(self) -> bool:
        """Whether it is an error object."""
        return reports_error(self.error, None, has_content=bool(self.candidates))

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what it says of itself; `body` is kept with it."""
        facts = GeminiFacts()
        facts.take(self)
        return facts.summary(body=body)

    def counted(self) -> Usage | None:
        """Return its token counts."""
        return self.summary(None).usage


class _Parts:
    """A stream that came as one JSON array."""

    def __init__(self, parts: list[GeminiFields]) -> None:
        self._parts = parts

    @property
    def is_error(self) -> bool:
        """Whether it is a list of one error object, or ends with one."""
        return bool(self._parts) and self._parts[-1].is_error

    def summary(self, body: bytes | None) -> AnswerSummary:
        """Return what it says of itself; `body` is kept with it."""
        facts = GeminiFacts()
        for part in self._parts:
            facts.take(part)
        return facts.summary(body=body)

    def counted(self) -> Usage | None:
        """Return its token counts."""
        return self.summary(None).usage


_read_fields = LenientDecoder(GeminiFields)
_decode_parts = msgspec.json.Decoder(list[GeminiFields]).decode


def read_response(body: bytes) -> GeminiFields | _Parts | None:
    """Return what a whole response says, or None if it is not JSON."""
    if body.lstrip()[:1] == b"[":
        try:
            return _Parts(_decode_parts(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return _read_fields(body)


class GeminiFacts:
    """The facts of a stream of events without names so far."""

    __slots__ = ("_fields", "_reasons", "_usage", "events", "has_failed")

    def __init__(self) -> None:
        self.events = 0
        self.has_failed = False
        self._fields = GeminiFields()
        self._usage: GeminiUsage | None = None
        self._reasons: dict[int, str | None] = {}

    @property
    def usage(self) -> Usage | None:
        """The token counts so far; each event has the whole counts."""
        return None if self._usage is None else self._usage.counted()

    @property
    def is_done(self) -> bool:
        """Whether an error ended it; no other event says that nothing follows."""
        return self.has_failed

    @property
    def is_complete(self) -> bool:
        """Whether each candidate has a finish reason, or the prompt was refused."""
        return self.has_failed or (bool(self._reasons) and None not in self._reasons.values())

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Take the data of an event."""
        fields = _read_fields(data)
        if fields is None:
            return EventKind.UNREADABLE
        self.events += 1
        self.take(fields)
        if fields.is_error:
            self.has_failed = True
            return EventKind.ERROR
        return EventKind.CONTENT

    def read_deltas(self, data: bytes) -> bool:
        """Take none: each event may be the last."""
        return False

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return what the events say of the response so far; `body` is kept with it."""
        fields, reasons = self._fields, self._reasons
        return AnswerSummary(
            fields.response_id,
            fields.model_version,
            None,
            None,
            tuple(reasons[index] for index in sorted(reasons)),
            self.usage,
            self.events,
            body,
        )

    def take(self, fields: GeminiFields) -> None:
        """Take a whole response, or one event of a stream."""
        if fields.response_id or fields.model_version:
            self._fields = fields
        if fields.usage_metadata is not None:
            self._usage = fields.usage_metadata
        for candidate in fields.candidates or ():
            if candidate.index in self._reasons or len(self._reasons) < _MAX_CANDIDATES:
                known = self._reasons.get(candidate.index)
                reason = candidate.finish_reason or known
                self._reasons[candidate.index] = reason and reason[:_MAX_REASON]
        feedback = fields.prompt_feedback
        if feedback is not None and feedback.block_reason and not self._reasons:
            self._reasons[0] = feedback.block_reason[:_MAX_REASON]
