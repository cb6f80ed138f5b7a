"""The dialect of the Responses API."""

from __future__ import annotations

import msgspec

from ..._core.conversation.content import Message
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event
from ..._core.values.messages import ClientRequest
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..objects import objects_in, read_object
from ..openai.content import message_of, read_request_content
from ..openai.errors import error_body
from ..same import SameTransformer
from .answers import ResponsesAnswers
from .facts import ResponseFacts, read_response
from .passing import without_foreign_proofs
from .texts import ResponsesTexts

__all__ = ["DIALECT", "OpenAIResponses"]


class OpenAIResponses(BaseDialect):
    """Responses; the events of a stream have names and numbers."""

    name = "openai.responses"
    key_field = b"authorization"

    read_request_content = staticmethod(read_request_content)
    without_foreign_proofs = staticmethod(without_foreign_proofs)
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


DIALECT = OpenAIResponses()
