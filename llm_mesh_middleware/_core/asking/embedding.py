"""Texts as vectors, made by a provider as any response is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

import msgspec

from ..dialect import ServedOperation
from ..provider.upstream import Upstream
from ..values.steps import Step
from .side_call import Circumstances, NoAnswer, ask_provider

__all__ = ["Embedded", "Embedder", "EmbeddingForm"]

# More numbers than this are no vector of any model, but memory of ours; larger ones would not fit
# into the numbers of half the size that vectors are kept in.
_MOST, _LARGEST = 8192, 1e30


class EmbeddingForm(Protocol):
    """The form in which a provider is asked for vectors, and answers."""

    @property
    def operation(self) -> ServedOperation:
        """The operation of the provider."""

    def write(self, model: str | None, texts: Sequence[str]) -> bytes:
        """Return the body that asks."""

    def read(self, body: bytes) -> list[list[float]] | None:
        """Return the vectors in the order of the texts; None if these are none."""


class Embedded(msgspec.Struct, frozen=True):
    """A vector for each text, and the tokens that they took."""

    vectors: Sequence[Sequence[float]]
    tokens: int


class Embedder(msgspec.Struct, frozen=True):
    """The provider and the model. Vectors of two of them can never be compared."""

    upstream: Upstream
    form: EmbeddingForm
    model: str

    @property
    def identity(self) -> tuple[str, str]:
        """What vectors must have in common."""
        return self.upstream.host, self.model

    def ask(self, texts: Sequence[str], about: Circumstances) -> Generator[Step, Any, Embedded]:
        """Return the vectors of texts.

        Raises:
            NoAnswer: there are none in time.
        """
        body = self.form.write(self.model, texts)
        answer = yield from ask_provider(
            self.upstream,
            self.form.operation,
            body,
            about,
            model=self.model,
            purpose="embedding",
        )
        vectors = self.form.read(answer.body)
        if vectors is None or len(vectors) != len(texts):
            raise NoAnswer("malformed")
        if not all(map(_is_vector, vectors)):
            raise NoAnswer("malformed")
        usage = answer.usage
        return Embedded(vectors, 0 if usage is None else usage.input_tokens)


def _is_vector(numbers: Sequence[float]) -> bool:
    return 0 < len(numbers) <= _MOST and max(map(abs, numbers)) < _LARGEST
