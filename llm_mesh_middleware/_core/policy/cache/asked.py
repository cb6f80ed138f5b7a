"""A request that is for the cache: what equal requests share, and what alike ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from ...caching.key import key_of
from ...caching.semantic.gate import content_of
from ...dialect import ServedOperation
from ...values.messages import ClientRequest
from ...values.payload import encode_fields, raw

__all__ = ["Asked", "Parts", "Question"]

Parts = tuple[bytes | str | None, ...]

# Stands for the words that may differ; a message without a text would be refused by some.
_ANYTHING = "..."


class Question(msgspec.Struct, frozen=True):
    """The last message of a request, and a digest of everything that must be the same besides."""

    text: str
    partition: str


class Asked(msgspec.Struct, frozen=True):
    """The key of a request, and what makes the key of a request as the one given."""

    key: str
    operation: ServedOperation
    request: ClientRequest
    parts_of: Callable[[ClientRequest], Parts | None]

    def question(self, space: tuple[str, ...]) -> Question | None:
        """Return what may be said in other words; None if nothing may.

        Args:
            space: what vectors must have in common to be compared.
        """
        members = _members(self.request)
        places = self.operation.dialect.texts.read_last(members)
        text = "\n".join(place.text for place in places)
        content = content_of(text)
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
