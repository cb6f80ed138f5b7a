"""The dialect of the Responses API."""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.conversation.answer import Answer
from ..._core.conversation.fault import ErrorBody, ProviderFault
from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventReader, EventWriter
from ..._core.conversation.writing import DialectOptions, Stamp, Written
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event, on_one_line
from ..._core.values.headers import Headers
from ..._core.values.messages import ClientRequest
from ..._core.values.operations import Operation
from ..._core.values.payload import Fields, read_count
from ...exceptions import AnswerableError
from ..objects import objects_in, read_object
from ..openai_errors import error_body, write_fault
from ..same import SameTransformer
from ..translation.faults import fault_of
from .answers import ResponsesAnswers
from .facts import ResponseFacts, read_response
from .texts import ResponsesTexts
from .translation.answers import has_failed, read_answer, write_answer
from .translation.event_reader import event_reader
from .translation.event_writer import ResponseEventWriter
from .translation.request_reader import read_request
from .translation.request_writer import write_request

__all__ = ["DIALECT", "OPERATIONS", "RESPONSES", "OpenAIResponses"]


class OpenAIResponses:
    """Responses; the events of a stream have names and numbers."""

    name = "openai.responses"
    key_field = b"authorization"
    request_id_field = b"x-request-id"
    texts = ResponsesTexts()
    answers = ResponsesAnswers()

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        return SameTransformer(request, operation, upstream)

    def facts(self) -> FactReader:
        """Return what reads the events of one stream."""
        return ResponseFacts()

    def read_whole(self, body: bytes) -> Whole | None:
        """Return what a whole response says, or None if no SDK can read it."""
        return read_response(body)

    def read_messages(self, body: bytes) -> list[dict[str, Any]]:
        """Return the messages that a whole response holds, for a record of its content."""
        items = objects_in(read_object(body).get("output"))
        return [item for item in items if item.get("type") == "message"]

    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error object."""
        return error_body(error)

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return an `error` event, which has the members of an error object itself."""
        told = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": position,
        }
        return make_event(msgspec.json.encode(told), name=b"error")

    def body_event(self, body: bytes) -> bytes:
        """Return the event that holds a whole body."""
        return make_event(on_one_line(body))

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return what a request asks for."""
        return read_request(request.fields)

    def write_request(
        self,
        conversation: Conversation,
        options: DialectOptions,
        *,
        model: str | None,
        streams: bool,
    ) -> Written:
        """Return a conversation as a request."""
        return write_request(conversation, options, model=model, streams=streams)

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the configured target: model and form are told in the body."""
        return target

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body is an error object."""
        whole = self.read_whole(body)
        return whole is not None and (whole.is_error or has_failed(body))

    def read_answer(self, body: bytes, stamp: Stamp) -> Answer:
        """Return what a whole body says."""
        return read_answer(body, stamp)

    def write_answer(self, answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
        """Return the whole body that tells of an answer."""
        return write_answer(answer, conversation, stamp)

    def event_reader(self, stamp: Stamp) -> EventReader:
        """Return what reads one stream."""
        return event_reader(stamp)

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return what writes one stream."""
        return ResponseEventWriter(conversation, stamp)

    def read_fault(self, status: int, headers: Headers, body: bytes) -> ProviderFault:
        """Return what an error says."""
        return fault_of(status, body)

    def write_fault(self, fault: ProviderFault) -> ErrorBody:
        """Return a provider's fault as an error object."""
        return write_fault(fault)


DIALECT = OpenAIResponses()


def output_limit(fields: Fields) -> int | None:
    """Return the most tokens that the response may have, None if the request does not say."""
    return read_count(fields, "max_output_tokens")


RESPONSES = ServedOperation(
    "responses",
    "/responses",
    dialect=DIALECT,
    is_generation=True,
    output_limit=output_limit,
    continues_by="previous_response_id",
)

OPERATIONS = (RESPONSES,)
