"""The dialect of the Responses API."""

from __future__ import annotations

from typing import Any

import msgspec

from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event, on_one_line
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, read_count
from ...exceptions import AnswerableError
from ..objects import objects_in, read_object
from ..openai_errors import error_body
from ..same import SameTransformer
from .facts import ResponseFacts, read_response
from .texts import ResponsesTexts

__all__ = ["DIALECT", "OPERATIONS", "OpenAIResponses"]


class OpenAIResponses:
    """Responses; the events of a stream have names and numbers."""

    name = "openai.responses"
    key_field = b"authorization"
    texts = ResponsesTexts()

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


DIALECT = OpenAIResponses()


def output_limit(fields: Fields) -> int | None:
    """Return the most tokens that the response may have, None if the request does not say."""
    return read_count(fields, "max_output_tokens")


OPERATIONS = (
    ServedOperation(
        "responses",
        "/responses",
        dialect=DIALECT,
        is_generation=True,
        output_limit=output_limit,
        continues_by="previous_response_id",
    ),
)
