"""Requests for embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from . import EMBEDDINGS

__all__ = ["EMBEDDING_FORM", "EmbeddingTexts"]


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]


_decode = msgspec.json.Decoder(_Vectors).decode


class EmbeddingTexts:
    """Several texts in one request, a vector of decimal numbers for each."""

    operation = EMBEDDINGS

    def write(self, model: str | None, texts: Sequence[str]) -> bytes:
        """Return the body of the request."""
        named = {} if model is None else {"model": model}
        return msgspec.json.encode({**named, "input": list(texts), "encoding_format": "float"})

    def read(self, body: bytes) -> list[list[float]] | None:
        """Return the vectors by their index; None if it is another response."""
        try:
            data = _decode(body).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        ordered = sorted(data, key=lambda each: each.index)
        # Vectors without an index keep their order.
        return [each.embedding for each in ordered]


EMBEDDING_FORM = EmbeddingTexts()
