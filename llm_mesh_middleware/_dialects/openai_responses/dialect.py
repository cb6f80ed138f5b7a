"""The dialect of the Responses API."""

from __future__ import annotations

import msgspec

from ..._core.conversation.content import Message
from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventWriter
from ..._core.conversation.writing import Stamp
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, read_count
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..objects import objects_in, read_object
from ..openai.content import message_of, read_request_content
from ..openai.errors import error_body, write_fault
from ..same import SameTransformer
from ..translation.counting import CountingProvider
from .answers import ResponsesAnswers
from .counting import COUNTED_AS, counted
from .facts import ResponseFacts, read_response
from .passing import without_foreign_proofs
from .texts import ResponsesTexts
from .translation.answers import has_failed, read_answer, write_answer
from .translation.event_reader import event_reader
from .translation.event_writer import ResponseEventWriter
from .translation.hosted_items import has_image
from .translation.request_reader import read_request
from .translation.request_writer import write_request

__all__ = ["COUNTER", "DIALECT", "OPERATIONS", "RESPONSES", "OpenAIResponses"]


class OpenAIResponses(BaseDialect):
    """Responses; the events of a stream have names and numbers."""

    name = "openai.responses"
    key_field = b"authorization"
    request_id_field = b"x-request-id"
    has_citations = True

    read_request_content = staticmethod(read_request_content)
    without_foreign_proofs = staticmethod(without_foreign_proofs)
    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    has_image = staticmethod(has_image)
    texts = ResponsesTexts()
    answers = ResponsesAnswers()

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        return SameTransformer(request, operation, upstream)

    def facts(self) -> FactReader:
        """Return a reader of the facts of one stream."""
        return ResponseFacts()

    def read_whole(self, body: bytes) -> Whole | None:
        """Return the facts of a whole response, or None if no SDK can read it."""
        return read_response(body)

    def read_messages(self, body: bytes) -> list[Message]:
        """Return the messages of a whole response, for a record of its content."""
        items = objects_in(read_object(body).get("output"))
        return [message_of(item) for item in items if item.get("type") == "message"]

    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error object."""
        return error_body(error)

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return an `error` event, which has the members of an error object itself."""
        error_event = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": position,
        }
        return make_event(msgspec.json.encode(error_event), name=b"error")

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


DIALECT = OpenAIResponses()
COUNTER = CountingProvider(DIALECT, counted, COUNTED_AS)


def output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens, None without one."""
    return read_count(fields, "max_output_tokens")


RESPONSES = ServedOperation(
    "responses",
    "/responses",
    dialect=DIALECT,
    is_generation=True,
    output_limit=output_limit,
    continues_by="previous_response_id",
    client=DIALECT,
    provider=DIALECT,
)

OPERATIONS = (RESPONSES,)
