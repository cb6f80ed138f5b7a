"""The dialect of `generateContent`."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventWriter
from ..._core.conversation.writing import DialectOptions, Stamp, Written
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.values.messages import ClientRequest
from ..._core.values.operations import Operation
from ..._core.values.payload import Fields, read_count, read_fields
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..targets import fill
from ..translation.counting import CountingProvider
from .answers import GeminiAnswers
from .content import read_messages, read_request_content
from .counting import COUNTED_AS, COUNTING_CLIENT, counted, counted_at_vertex
from .errors import error_object
from .facts import GeminiFacts, read_response
from .passing import without_foreign_proofs
from .texts import GeminiTexts
from .transformer import EVENTS, GeminiTransformer
from .translation.answers import has_image, read_answer, write_answer, write_fault
from .translation.event_reader import event_reader
from .translation.event_writer import ContentEventWriter
from .translation.request_reader import read_request
from .translation.request_writer import write_request

__all__ = [
    "COUNT",
    "COUNTER",
    "DIALECT",
    "GENERATE",
    "OPERATIONS",
    "STREAM",
    "VERTEX_COUNTER",
    "Gemini",
]

_WHOLE, _STREAM = ":generateContent", f":streamGenerateContent?{EVENTS}"
_METHODS = ["generateContent", "countTokens"]


class Gemini(BaseDialect):
    """Generated content; the path names model and form."""

    name = "gcp.gemini"
    key_field = b"x-goog-api-key"
    texts = GeminiTexts()
    answers = GeminiAnswers()
    request_id_field = b"x-request-id"
    has_citations = True

    without_foreign_proofs = staticmethod(without_foreign_proofs)
    read_request = staticmethod(read_request)
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
        return GeminiTransformer(request, operation, upstream)

    def facts(self) -> FactReader:
        """Return a reader of the facts of one stream."""
        return GeminiFacts()

    def read_whole(self, body: bytes) -> Whole | None:
        """Return the facts of a whole response, or None if no SDK can read it."""
        return read_response(body)

    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error object."""
        wait_ms = error.headers.get("retry-after-ms")
        return error_object(error.status, error.message, retry_after_ms=wait_ms)

    def write_model(self, name: str) -> dict[str, object]:
        """Return a model object."""
        return {
            "name": f"models/{name}",
            "displayName": name,
            "supportedGenerationMethods": _METHODS,
        }

    def write_models(self, names: Sequence[str]) -> dict[str, object]:
        """Return the list of models as one page."""
        return {"models": list(map(self.write_model, names))}

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


def _read_path(path: str, fields: Fields) -> tuple[str | None, Fields]:
    """Return the model of `.../models/{model}:method`."""
    return path.rpartition("/")[2].rpartition(":")[0] or None, fields


def _output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens for all candidates, None without one."""
    config = read_fields(fields, "generationConfig") or read_fields(fields, "generation_config")
    limit = read_count(config, "maxOutputTokens") or read_count(config, "max_output_tokens")
    count = read_count(config, "candidateCount") or read_count(config, "candidate_count") or 1
    return None if limit is None else limit * min(8, max(1, count))


DIALECT = Gemini()
COUNTER = CountingProvider(DIALECT, counted, COUNTED_AS)
VERTEX_COUNTER = CountingProvider(DIALECT, counted_at_vertex, COUNTED_AS)

GENERATE = ServedOperation(
    "generate_content",
    ":generateContent",
    dialect=DIALECT,
    is_generation=True,
    output_limit=_output_limit,
    streams=False,
    read_path=_read_path,
    client=DIALECT,
    provider=DIALECT,
    has_envelope=False,
)
STREAM = ServedOperation(
    "generate_content",
    ":streamGenerateContent",
    dialect=DIALECT,
    is_generation=True,
    output_limit=_output_limit,
    streams=True,
    events_by=EVENTS,
    read_path=_read_path,
    whole_form=GENERATE,
    client=DIALECT,
)
COUNT = ServedOperation(
    "count_tokens",
    ":countTokens",
    dialect=DIALECT,
    streams=False,
    read_path=_read_path,
    counting=COUNTING_CLIENT,
)

OPERATIONS = (GENERATE, STREAM, COUNT)
