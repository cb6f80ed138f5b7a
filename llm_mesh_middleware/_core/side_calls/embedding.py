"""Embeddings of texts, requested from a provider."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

import msgspec

from ..dialect import ServedOperation
from ..provider.upstream import Upstream
from ..values.steps import Step
from .side_call import SideCallContext, SideCallFailed, call_provider

__all__ = ["Embedded", "Embedder", "EmbeddingForm"]

# No model's vector has more numbers than this, so more would only fill our memory. Larger numbers
# would not fit into the half-size numbers that vectors are stored as.
_MOST, _LARGEST = 8192, 1e30


class EmbeddingForm(Protocol):
    """Writes requests for embeddings, and reads the responses."""

    @property
    def operation(self) -> ServedOperation:
        """The operation of the provider."""

    def write(self, model: str | None, texts: Sequence[str]) -> bytes:
        """Return the body of the request."""

    def read(self, body: bytes) -> list[list[float]] | None:
        """Return the vectors in the order of the texts; None if the body has none."""


class Embedded(msgspec.Struct, frozen=True):
    """A vector for each text, and the tokens that they cost."""

    vectors: Sequence[Sequence[float]]
    tokens: int


class Embedder(msgspec.Struct, frozen=True):
    """A provider and a model. Vectors of two embedders can never be compared."""

    upstream: Upstream
    form: EmbeddingForm
    model: str

    @property
    def identity(self) -> tuple[str, str]:
        """The provider and the model: only vectors of the same identity can be compared."""
        return self.upstream.host, self.model

    def embed(
        self, texts: Sequence[str], context: SideCallContext
    ) -> Generator[Step, Any, Embedded]:
        """Return the vectors of texts.

        Raises:
            SideCallFailed: the provider returned none in time.
        """
        body = self.form.write(self.model, texts)
        answer = yield from call_provider(
            self.upstream,
            self.form.operation,
            body,
            context,
            model=self.model,
            purpose="embedding",
        )
        vectors = self.form.read(answer.body)
        if vectors is None or len(vectors) != len(texts):
            raise SideCallFailed("malformed")
        if not all(map(_is_vector, vectors)):
            raise SideCallFailed("malformed")
        usage = answer.usage
        return Embedded(vectors, 0 if usage is None else usage.input_tokens)


def _is_vector(numbers: Sequence[float]) -> bool:
    return 0 < len(numbers) <= _MOST and max(map(abs, numbers)) < _LARGEST
