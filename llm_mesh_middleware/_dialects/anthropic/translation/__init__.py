"""Messages in the neutral form, and back."""

from __future__ import annotations

from ...._core.conversation.request import Conversation
from ...._core.conversation.sides import EventWriter
from ...._core.conversation.writing import Stamp
from ...._core.values.messages import ClientRequest
from ..dialect import AnthropicMessages
from .answers import has_image, read_answer, write_answer, write_fault
from .event_reader import event_reader
from .event_writer import MessageEventWriter
from .request_reader import read_request
from .request_writer import write_request

__all__ = ["SIDES", "MessagesSides"]


class MessagesSides(AnthropicMessages):
    """Messages with both sides of a translation."""

    request_id_field = b"request-id"

    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    has_image = staticmethod(has_image)

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return a request in the neutral form."""
        return read_request(request.fields)

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return the writer of one stream."""
        return MessageEventWriter(conversation, stamp, self.error_event)


SIDES = MessagesSides()
