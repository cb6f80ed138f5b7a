"""The texts of the Messages API."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from ..._core.dialect import EventTexts, TextPlace
from ..texts import (
    ResponseTexts,
    is_silent,
    last_texts,
    place_of,
    spoken_in,
    texts_of_turns,
)

__all__ = ["AnthropicTexts"]

# The usual deltas, and their members that grow.
_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class AnthropicTexts(ResponseTexts):
    """Each string of a block's deltas is a part of the block's text of that name."""

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
            usual = _usual_delta(value)
            if usual is not None:
                return EventTexts((((number, usual.key), usual),))
        if kind == "content_block_stop":
            return EventTexts(ends=lambda key: key[0] == number)
        if kind in ("message_delta", "message_stop", "error"):
            return EventTexts((), spoken_in(value), ends=lambda key: True)
        member = {"content_block_delta": "delta", "content_block_start": "content_block"}
        part = value.get(member.get(str(kind), ""))
        if not isinstance(part, dict):
            return EventTexts((), spoken_in(value))
        places = list(spoken_in(value))
        is_part = [place.container is part and place.key != "name" for place in places]
        return EventTexts(
            [
                ((number, place.key), place)
                for place, yes in zip(places, is_part, strict=True)
                if yes
            ],
            [place for place, yes in zip(places, is_part, strict=True) if not yes],
        )


def _usual_delta(value: dict[str, Any]) -> TextPlace | None:
    """Return the one text of an event that is nothing but more of a block; None for any other."""
    delta = value.get("delta")
    if not isinstance(delta, dict) or not is_silent(value, but="delta"):
        return None
    name = _GROWING.get(str(delta.get("type")), "")
    is_text = delta.get(name).__class__ is str and delta[name] != ""
    return place_of(delta, name) if is_text and is_silent(delta, but=name) else None
