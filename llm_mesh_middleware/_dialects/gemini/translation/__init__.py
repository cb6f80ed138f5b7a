"""Gemini, from and to the neutral form."""

from __future__ import annotations

from ...._core.conversation.request import Conversation
from ...._core.conversation.sides import EventWriter
from ...._core.conversation.writing import DialectOptions, Stamp, Written
from ...._core.values.operations import Operation
from ...targets import fill
from .. import EVENTS
from ..dialect import Gemini
from .answers import has_image, read_answer, write_answer, write_fault
from .event_reader import event_reader
from .event_writer import ContentEventWriter
from .request_reader import read_request
from .request_writer import write_request

__all__ = ["SIDES", "GeminiSides"]

_WHOLE, _STREAM = ":generateContent", f":streamGenerateContent?{EVENTS}"


class GeminiSides(Gemini):
    """Generated content with both sides of a translation."""

    request_id_field = b"x-request-id"
    has_citations = has_drafts = True

    read_request = staticmethod(read_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    has_image = staticmethod(has_image)

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the target for the model, for a stream or a whole response."""
        if streams:
            target = target.removesuffix(_WHOLE) + _STREAM
        return fill(target, model)

    def write_request(
        self,
        conversation: Conversation,
        options: DialectOptions,
        *,
        model: str | None,
        streams: bool,
    ) -> Written:
        """Return a conversation as a request."""
        return write_request(conversation, options)

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return the writer of one stream."""
        return ContentEventWriter(stamp)


SIDES = GeminiSides()
