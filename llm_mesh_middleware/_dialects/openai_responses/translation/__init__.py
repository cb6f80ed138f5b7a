"""Responses in the neutral form, and back."""

from __future__ import annotations

from ...._core.conversation.request import Conversation
from ...._core.conversation.sides import EventWriter
from ...._core.conversation.writing import Stamp
from ...._core.values.messages import ClientRequest
from ...openai.errors import write_fault
from ..dialect import OpenAIResponses
from .answers import has_failed, read_answer, write_answer
from .event_reader import event_reader
from .event_writer import ResponseEventWriter
from .hosted_items import has_image
from .request_reader import read_request
from .request_writer import write_request

__all__ = ["SIDES", "ResponsesSides"]


class ResponsesSides(OpenAIResponses):
    """Responses with both sides of a translation."""

    request_id_field = b"x-request-id"
    has_citations = True

    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    has_image = staticmethod(has_image)

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return a request in the neutral form."""
        return read_request(request.fields)

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body is an error object."""
        whole = self.read_whole(body)
        return whole is not None and (whole.is_error or has_failed(body))

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return the writer of one stream."""
        return ResponseEventWriter(conversation, stamp)


SIDES = ResponsesSides()
