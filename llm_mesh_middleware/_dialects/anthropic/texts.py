"""The texts of the Messages API."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from ..._core.dialect import EventTexts, TextPlace
from ..texts import (
    ResponseTexts,
    has_no_text,
    last_texts,
    place_of,
    response_texts_in,
    texts_of_turns,
)

__all__ = ["AnthropicTexts"]

# The usual deltas, and their members that grow.
_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class AnthropicTexts(ResponseTexts):
    """The strings of a block's deltas with one name are the parts of one text."""

    def read_request(
        self, members: dict[str, Any], roles: Container[str] | None
    ) -> Iterator[TextPlace]:
        """Yield the texts of the system prompt and of the messages."""
        others = {"system": "system"}
        return texts_of_turns(members, roles, turns="messages", others=others, kinds={})

    def read_last(self, members: dict[str, Any]) -> Sequence[TextPlace]:
        """Return the texts of the last turn, if it is a user's and has nothing else."""
        return last_texts(members, turns="messages")

    def read_event(self, value: Any) -> EventTexts:
        """Return the delta of a block; the block's end ends its texts."""
        if not isinstance(value, dict):
            return EventTexts()
        kind, number = value.get("type"), value.get("index")
        if kind == "content_block_delta":
            delta = _only_delta(value)
            if delta is not None:
                return EventTexts((((number, delta.key), delta),))
        if kind == "content_block_stop":
            return EventTexts(ends=lambda key: key[0] == number)
        if kind in ("message_delta", "message_stop", "error"):
            return EventTexts((), response_texts_in(value), ends=lambda key: True)
        member = {"content_block_delta": "delta", "content_block_start": "content_block"}
        part = value.get(member.get(str(kind), ""))
        if not isinstance(part, dict):
            return EventTexts((), response_texts_in(value))
        places = list(response_texts_in(value))
        is_part = [place.container is part and place.key != "name" for place in places]
        return EventTexts(
            [
                ((number, place.key), place)
                for place, yes in zip(places, is_part, strict=True)
                if yes
            ],
            [place for place, yes in zip(places, is_part, strict=True) if not yes],
        )


def _only_delta(value: dict[str, Any]) -> TextPlace | None:
    """Return the text of an event that only continues a block; None for any other event."""
    delta = value.get("delta")
    if not isinstance(delta, dict) or not has_no_text(value, but="delta"):
        return None
    name = _GROWING.get(str(delta.get("type")), "")
    is_text = delta.get(name).__class__ is str and delta[name] != ""
    return place_of(delta, name) if is_text and has_no_text(delta, but=name) else None
