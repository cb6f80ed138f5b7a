"""The dialect of chat completions."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.conversation.content import Message
from ..._core.conversation.parts import Image
from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventWriter
from ..._core.conversation.writing import Stamp
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.values.messages import ClientRequest
from ..._core.values.payload import Fields, raw, read_count, read_text
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..objects import objects_in, read_object
from ..openai.content import message_of, read_request_content
from ..openai.errors import error_body, write_fault
from ..same import SameTransformer
from .answers import ChatAnswers
from .bridge import completion_to_events
from .facts import ChatFacts, lacks_choices, read_fields
from .passing import without_foreign_proofs
from .texts import ChatTexts
from .transformer import CompletionTransformer
from .translation.answers import read_answer, write_answer
from .translation.event_reader import event_reader
from .translation.event_writer import ChunkWriter
from .translation.request_reader import read_request
from .translation.request_writer import write_request

__all__ = ["CHAT", "DIALECT", "EMBEDDINGS", "OPERATIONS", "OpenAIChat"]


class OpenAIChat(BaseDialect):
    """Chat completions, and the older operations that share its errors and counts."""

    name = "openai.chat"
    key_field = b"authorization"
    texts = ChatTexts()
    answers = ChatAnswers()
    request_id_field = b"x-request-id"
    has_citations = True
    forgets_proofs = True

    without_foreign_proofs = staticmethod(without_foreign_proofs)
    write_request = staticmethod(write_request)
    read_answer = staticmethod(read_answer)
    write_answer = staticmethod(write_answer)
    write_fault = staticmethod(write_fault)
    event_reader = staticmethod(event_reader)
    read_request_content = staticmethod(read_request_content)

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        made = CompletionTransformer if operation.has_two_forms else SameTransformer
        return made(request, operation, upstream)

    def facts(self) -> FactReader:
        """Return a reader of the facts of one stream."""
        return ChatFacts()

    def read_whole(self, body: bytes) -> Whole | None:
        """Return the facts of a whole response, or None if no SDK can read it."""
        fields = read_fields(body)
        if fields is not None and fields.choices is None and lacks_choices(fields, body):
            return None
        return fields

    def read_messages(self, body: bytes) -> list[Message]:
        """Return the messages of a whole response, for a record of its content."""
        found = []
        for choice in objects_in(read_object(body).get("choices")):
            message = choice.get("message")
            content = message if isinstance(message, dict) else {"content": choice.get("text")}
            found.append(message_of(content))
        return found

    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error object."""
        return error_body(error)

    def write_model(self, name: str) -> dict[str, object]:
        """Return a model object."""
        return {"id": name, "object": "model", "created": 0, "owned_by": "llm-mesh"}

    def write_models(self, names: Sequence[str]) -> dict[str, object]:
        """Return a list of models."""
        return {"object": "list", "data": list(map(self.write_model, names))}

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


DIALECT = OpenAIChat()

_DEPLOYMENTS = "/openai/deployments/"


def _read_path(path: str, fields: Fields) -> tuple[str | None, Fields]:
    """Return the model of the body, or the deployment that a path of Azure's names instead."""
    requested = read_text(fields, "model")
    if _DEPLOYMENTS not in path:
        return requested, fields
    named = path.partition(_DEPLOYMENTS)[2].partition("/")[0]
    if not named or named == requested:
        return requested, fields
    return named, {**fields, "model": raw(named)}


def output_limit(fields: Fields) -> int | None:
    """Return the request's limit of output tokens for all choices, None without one."""
    if "max_completion_tokens" not in fields and "max_tokens" not in fields:
        return None
    limit = read_count(fields, "max_completion_tokens")
    if limit is None:
        limit = read_count(fields, "max_tokens")
    if limit is None or "n" not in fields:
        return limit
    return limit * min(128, max(1, read_count(fields, "n") or 1))


CHAT = ServedOperation(
    "chat",
    "/chat/completions",
    dialect=DIALECT,
    is_generation=True,
    has_two_forms=True,
    output_limit=output_limit,
    read_path=_read_path,
    client=DIALECT,
    provider=DIALECT,
)
EMBEDDINGS = ServedOperation("embeddings", "/embeddings", dialect=DIALECT, read_path=_read_path)

# The first suffix that ends a path is selected: `/chat/completions` also ends with `/completions`.
OPERATIONS = (
    CHAT,
    ServedOperation(
        "text_completion",
        "/completions",
        dialect=DIALECT,
        is_generation=True,
        has_two_forms=True,
        output_limit=output_limit,
        read_path=_read_path,
    ),
    EMBEDDINGS,
)
