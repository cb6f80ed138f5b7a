"""The texts of the Gemini API."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from ..._core.dialect import EventTexts, TextPlace
from ..objects import objects_in
from ..texts import ResponseTexts, response_texts_in, texts_of_turns

__all__ = ["GeminiTexts"]

_SYSTEM = {"systemInstruction": "system", "system_instruction": "system"}


class GeminiTexts(ResponseTexts):
    """The parts of a candidate in a stream continue its text, or its thoughts."""

    def read_request(
        self, members: dict[str, Any], roles: Container[str] | None
    ) -> Iterator[TextPlace]:
        """Yield the texts of the system instruction and of the contents."""
        if roles is not None and "assistant" in roles:
            roles = _Roles(roles)
        return texts_of_turns(members, roles, turns="contents", others=_SYSTEM, kinds={})

    def read_last(self, members: dict[str, Any]) -> Sequence[TextPlace]:
        """Return the texts of the last turn, if it is a user's and has nothing else."""
        contents = members.get("contents")
        turn = contents[-1] if isinstance(contents, list) and contents else None
        if not isinstance(turn, dict) or turn.get("role", "user") != "user":
            return []
        parts = turn.get("parts")
        places = [
            TextPlace(part, "text")
            for part in objects_in(parts)
            if isinstance(part.get("text"), str)
        ]
        is_plain = all(len(place.container) == 1 for place in places)
        return places if isinstance(parts, list) and is_plain and len(places) == len(parts) else []

    def read_event(self, value: Any) -> EventTexts:
        """Return the texts of the parts; a finish reason ends the texts of its candidate."""
        if not isinstance(value, dict):
            return EventTexts()
        places = list(response_texts_in(value))
        parts: list[tuple[Any, TextPlace]] = []
        ended: set[Any] = set()
        found: set[int] = set()
        for candidate in objects_in(value.get("candidates")):
            number = candidate.get("index", 0)
            if candidate.get("finishReason"):
                ended.add(number)
            content = candidate.get("content")
            for part in objects_in(content.get("parts") if isinstance(content, dict) else None):
                for place in places:
                    if place.container is part and place.key == "text":
                        parts.append(((number, bool(part.get("thought"))), place))
                        found.add(id(place))
        wholes = [place for place in places if id(place) not in found]
        return EventTexts(parts, wholes, ends=(lambda key: key[0] in ended) if ended else None)


class _Roles:
    """Roles by their names in contents, where the assistant is called `model`."""

    def __init__(self, roles: Container[str]) -> None:
        self._roles = roles

    def __contains__(self, role: object) -> bool:
        return role == "model" or role in self._roles
