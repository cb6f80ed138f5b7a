"""The dialect of chat completions."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.conversation.content import Message
from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.values.messages import ClientRequest
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..objects import objects_in, read_object
from ..openai.content import message_of, read_request_content
from ..openai.errors import error_body
from ..same import SameTransformer
from .answers import ChatAnswers
from .facts import ChatFacts, lacks_choices, read_completion, read_fields
from .passing import without_foreign_proofs
from .texts import ChatTexts
from .transformer import CompletionTransformer

__all__ = ["DIALECT", "OpenAIChat"]


class OpenAIChat(BaseDialect):
    """Chat completions, and the older operations that share its errors and counts."""

    name = "openai.chat"
    key_field = b"authorization"
    texts = ChatTexts()
    answers = ChatAnswers()

    without_foreign_proofs = staticmethod(without_foreign_proofs)
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
        if (completion := read_completion(body)) is not None:
            return completion
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


DIALECT = OpenAIChat()
