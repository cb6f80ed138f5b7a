"""The dialect of `generateContent`."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.dialect import FactReader, ServedOperation, Transformer, UpstreamOptions, Whole
from ..._core.values.messages import ClientRequest
from ...exceptions import AnswerableError
from ..base_dialect import BaseDialect
from .answers import GeminiAnswers
from .content import read_messages, read_request_content
from .errors import error_object
from .facts import GeminiFacts, read_response
from .passing import without_foreign_proofs
from .texts import GeminiTexts
from .transformer import GeminiTransformer

__all__ = ["DIALECT", "Gemini"]

_METHODS = ["generateContent", "countTokens"]


class Gemini(BaseDialect):
    """Generated content; the path names model and form."""

    name = "gcp.gemini"
    key_field = b"x-goog-api-key"
    texts = GeminiTexts()
    answers = GeminiAnswers()

    without_foreign_proofs = staticmethod(without_foreign_proofs)
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


DIALECT = Gemini()
