"""Chat completions in the neutral form, and back."""

from __future__ import annotations

from ...._core.conversation.parts import Image
from ...._core.conversation.request import Conversation
from ...._core.conversation.sides import EventWriter
from ...._core.conversation.writing import Stamp
from ...._core.values.messages import ClientRequest
from ...openai.errors import write_fault
from ..bridge import completion_to_events
from ..dialect import OpenAIChat
from .answers import read_answer, write_answer
from .event_reader import event_reader
from .event_writer import ChunkWriter
from .request_reader import read_request
from .request_writer import write_request

__all__ = ["SIDES", "ChatSides"]


class ChatSides(OpenAIChat):
    """Chat completions with both sides of a translation."""

    request_id_field = b"x-request-id"
    has_citations = True
    forgets_proofs = True

    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)

    def choice_events(self, body: bytes, conversation: Conversation) -> bytes:
        """Return the chunks of all choices."""
        return completion_to_events(body, include_usage=conversation.include_usage)

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return a request in the neutral form."""
        return read_request(request.fields)

    def has_image(self, image: Image) -> bool:
        """Return whether `images` can hold an image."""
        return bool(image.data or image.url)

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return the writer of one stream."""
        return ChunkWriter(conversation, stamp)


SIDES = ChatSides()
