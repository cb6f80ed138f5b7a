"""The dialect of the Messages API."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventWriter
from ..._core.conversation.writing import Stamp
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event, on_one_line
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, read_count
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..same import SameTransformer
from ..translation.counting import CountingProvider
from .content import read_messages, read_request_content
from .counting import COUNTED_AS, COUNTING_CLIENT, CountTransformer, counted, counted_at_vertex
from .errors import error_of_status
from .facts import MessageFacts, read_message
from .passing import without_foreign_proofs
from .texts import AnthropicTexts
from .translation.answers import has_image, read_answer, write_answer, write_fault
from .translation.event_reader import event_reader
from .translation.event_writer import MessageEventWriter
from .translation.request_reader import read_request
from .translation.request_writer import write_request
from .whole import AnthropicAnswers

__all__ = [
    "COUNTER",
    "COUNT_TOKENS",
    "DIALECT",
    "MESSAGES",
    "OPERATIONS",
    "VERTEX_COUNTER",
    "AnthropicMessages",
]


class AnthropicMessages(BaseDialect):
    """Messages; the events of a stream have names."""

    name = "anthropic.messages"
    key_field = b"x-api-key"
    texts = AnthropicTexts()
    answers = AnthropicAnswers()
    request_id_field = b"request-id"
    keepalive = make_event(b'{"type":"ping"}', name=b"ping")

    without_foreign_proofs = staticmethod(without_foreign_proofs)
    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    has_image = staticmethod(has_image)
    read_request_content = staticmethod(read_request_content)
    read_messages = staticmethod(read_messages)

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        made = SameTransformer if operation.is_generation else CountTransformer
        return made(request, operation, upstream)

    def facts(self) -> FactReader:
        """Return a reader of the facts of one stream."""
        return MessageFacts()

    def read_whole(self, body: bytes) -> Whole | None:
        """Return the facts of a whole response, or None if no SDK can read it."""
        return read_message(body)

    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error object. The mesh gives no ids to requests, so `request_id` is null."""
        return error_of_status(error.status, error.message)

    def write_model(self, name: str) -> dict[str, object]:
        """Return a model object."""
        created_at = "1970-01-01T00:00:00Z"  # the API's own value for an unknown date
        return {"type": "model", "id": name, "display_name": name, "created_at": created_at}

    def write_models(self, names: Sequence[str]) -> dict[str, object]:
        """Return the list of models as one page."""
        first, last = (names[0], names[-1]) if names else (None, None)
        data = list(map(self.write_model, names))
        return {"data": data, "has_more": False, "first_id": first, "last_id": last}

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return an `error` event; its data is the error object."""
        return make_event(self.write_error(error), name=b"error")

    def body_event(self, body: bytes) -> bytes:
        """Return a whole body as an error event: no other event can contain one."""
        return make_event(on_one_line(body), name=b"error")

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return a request in the neutral form."""
        return read_request(request.fields)

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return the writer of one stream."""
        return MessageEventWriter(conversation, stamp, self.error_event)


DIALECT = AnthropicMessages()
COUNTER = CountingProvider(DIALECT, counted, COUNTED_AS)
VERTEX_COUNTER = CountingProvider(DIALECT, counted_at_vertex, COUNTED_AS)


def output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens, None without one."""
    return read_count(fields, "max_tokens")


# The Assistants API has paths that end in `/messages` as well.
MESSAGES = ServedOperation(
    "chat",
    "/messages",
    dialect=DIALECT,
    is_generation=True,
    client_suffix="/v1/messages",
    output_limit=output_limit,
    client=DIALECT,
    provider=DIALECT,
)

COUNT_TOKENS = ServedOperation(
    "count_tokens",
    "/messages/count_tokens",
    dialect=DIALECT,
    client_suffix="/v1/messages/count_tokens",
    counting=COUNTING_CLIENT,
)

OPERATIONS = (MESSAGES, COUNT_TOKENS)
