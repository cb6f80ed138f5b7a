"""The dialect of the Messages API."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.http.sse import make_event, on_one_line
from ..._core.values.messages import ClientRequest
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from ..same import SameTransformer
from .content import read_messages, read_request_content
from .errors import error_of_status
from .facts import MessageFacts, read_message
from .passing import without_foreign_proofs
from .texts import AnthropicTexts
from .whole import AnthropicAnswers

__all__ = ["DIALECT", "AnthropicMessages"]


class _CountTransformer(SameTransformer):
    """Requests a count with the provider's name of the model."""

    model_is_always_set = True


class AnthropicMessages(BaseDialect):
    """Messages; the events of a stream have names."""

    name = "anthropic.messages"
    key_field = b"x-api-key"
    texts = AnthropicTexts()
    answers = AnthropicAnswers()
    keepalive = make_event(b'{"type":"ping"}', name=b"ping")

    without_foreign_proofs = staticmethod(without_foreign_proofs)
    read_request_content = staticmethod(read_request_content)
    read_messages = staticmethod(read_messages)

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""
        made = SameTransformer if operation.is_generation else _CountTransformer
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


DIALECT = AnthropicMessages()
