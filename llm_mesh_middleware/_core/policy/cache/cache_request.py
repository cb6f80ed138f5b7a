"""A request that can be cached: its key, and its question for the semantic cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from ...caching.key import key_of
from ...caching.semantic.distinctive_words import distinctive_words
from ...dialect import ServedOperation
from ...values.messages import ClientRequest
from ...values.payload import encode_fields, raw

__all__ = ["CacheRequest", "Parts", "Question"]

Parts = tuple[bytes | str | None, ...]

# Replaces the last message's text, which may differ; some dialects refuse an empty one.
_ANYTHING = "..."


class Question(msgspec.Struct, frozen=True):
    """The last message of a request, and a digest of everything else, which must be equal."""

    text: str
    partition: str


class CacheRequest(msgspec.Struct, frozen=True):
    """A request with its key; `parts_of` returns the parts of a request's key."""

    key: str
    operation: ServedOperation
    request: ClientRequest
    parts_of: Callable[[ClientRequest], Parts | None]

    def question(self, space: tuple[str, ...]) -> Question | None:
        """Return the question that may be in other words; None if the request has none.

        Args:
            space: the model and provider of the vectors, which must be equal.
        """
        members = _members(self.request)
        places = self.operation.dialect.texts.read_last(members)
        text = "\n".join(place.text for place in places)
        content = distinctive_words(text)
        if content is None:
            return None
        for place in places:
            place.put(_ANYTHING)
        fields = {name: raw(value) for name, value in members.items()}
        wordless = replace(self.request, fields=fields, body=encode_fields(fields))
        parts = self.parts_of(wordless)
        if parts is None:
            return None
        return Question(text, key_of((*parts, *space, key_of(content))))


def _members(request: ClientRequest) -> dict[str, Any]:
    try:
        return {name: msgspec.json.decode(value) for name, value in request.fields.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
