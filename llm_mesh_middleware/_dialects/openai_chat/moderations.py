"""OpenAI's moderation endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from . import CHAT

__all__ = ["MODERATIONS", "Moderations", "moderations_target"]

_SUFFIX = "/moderations"


class _Result(msgspec.Struct):
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]


class _Results(msgspec.Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Results).decode


class Moderations:
    """Several texts in one request; a result for each of them."""

    def write(self, model: str | None, texts: Sequence[str]) -> bytes:
        """Return the body of the request."""
        named = {} if model is None else {"model": model}
        return msgspec.json.encode({**named, "input": list(texts)})

    def read(self, body: bytes) -> Sequence[Mapping[str, tuple[bool, float]]] | None:
        """Return the categories of each text, None if it is another response."""
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return [
            {
                name: (bool(flagged), result.category_scores.get(name) or 0.0)
                for name, flagged in result.categories.items()
            }
            for result in answer.results
        ]


MODERATIONS = Moderations()


def moderations_target(chat: str) -> str | None:
    """Return the target, derived from that of chat completions; None for an unusual path."""
    path, mark, query = chat.partition("?")
    if not path.endswith(CHAT.suffix):
        return None
    return path.removesuffix(CHAT.suffix) + _SUFFIX + mark + query
