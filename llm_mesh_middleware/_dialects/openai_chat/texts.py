"""The texts of chat completions and of similar operations."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from ..._core.dialect import EventTexts, TextPlace
from ..objects import objects_in
from ..texts import (
    ResponseTexts,
    has_no_text,
    is_text,
    last_texts,
    place_of,
    response_texts_in,
    texts_of_turns,
)

__all__ = ["ChatTexts"]

_CHOICES = frozenset(("choices",))
# Members that continue the texts of a choice.
_PARTS = frozenset(("delta", "text"))


class ChatTexts(ResponseTexts):
    """The strings at one path in the deltas of a choice are the parts of one text."""

    def read_request(
        self, members: dict[str, Any], roles: Container[str] | None
    ) -> Iterator[TextPlace]:
        """Yield the texts of the messages, of a prompt, of inputs."""
        others = {"prompt": "user", "input": "user"}
        return texts_of_turns(members, roles, turns="messages", others=others, kinds={})

    def read_last(self, members: dict[str, Any]) -> Sequence[TextPlace]:
        """Return the texts of the last turn, if it is a user's and has nothing else."""
        return last_texts(members, turns="messages")

    def read_event(self, value: Any) -> EventTexts:
        """Return the deltas of the choices.

        A finish reason ends the texts of its choice. A delta ends the texts of other members: for
        example, the content follows the reasoning.
        """
        if not isinstance(value, dict):
            return EventTexts()
        single = _single_delta(value)
        if single is not None:
            return single
        parts: list[tuple[Any, TextPlace]] = []
        wholes = list(response_texts_in(value, but=_CHOICES))
        finished, going_on = set(), dict[Any, set[Any]]()
        for choice in objects_in(value.get("choices")):
            number = choice.get("index", 0)
            if isinstance(choice.get("text"), str):
                parts.append(((number, "text"), TextPlace(choice, "text")))
            for path, place in _deltas(choice.get("delta")):
                if place.key == "name":  # names are never split
                    wholes.append(place)
                else:
                    parts.append(((number, *path), place))
                going_on.setdefault(number, set()).add(path[0])
            wholes += response_texts_in(choice, but=_PARTS)
            if choice.get("finish_reason"):
                finished.add(number)
        if not finished and not going_on:
            return EventTexts(parts, wholes)

        def is_ended(key: Any) -> bool:
            number, member = key[:2]
            return number in finished or member not in going_on.get(number, (member,))

        return EventTexts(parts, wholes, is_ended)


def _single_delta(value: dict[str, Any]) -> EventTexts | None:
    """Return the text of an event that only continues one text of one choice.

    None for any other event. Most events are such, and searching every member takes ten times as
    long.
    """
    choices = value.get("choices")
    if choices.__class__ is not list or len(choices) != 1 or not has_no_text(value, but="choices"):
        return None
    choice = choices[0]
    delta = choice.get("delta") if choice.__class__ is dict else None
    if delta.__class__ is not dict or not has_no_text(choice, but="delta"):
        return None
    member = next(iter(delta), "")
    text = delta.get(member)
    if len(delta) != 1 or text.__class__ is not str or not text or choice.get("finish_reason"):
        return None
    if member == "name" or not is_text(delta, member, text):
        return None
    number = choice.get("index", 0)

    def is_ended(key: Any) -> bool:
        return bool(key[0] == number and key[1] != member)

    return EventTexts((((number, member), place_of(delta, member)),), (), is_ended)


def _deltas(delta: Any) -> Iterator[tuple[tuple[Any, ...], TextPlace]]:
    """Yield the texts of a delta with their paths; items of lists are identified by `index`."""
    pending: list[tuple[tuple[Any, ...], Any]] = [((), delta)]
    while pending:
        path, here = pending.pop()
        if not isinstance(here, dict | list):
            continue
        for key, item in here.items() if isinstance(here, dict) else enumerate(here):
            if item.__class__ is str:
                if item and is_text(here, key, item):
                    yield (*path, key), place_of(here, key)
            else:
                step = item.get("index", key) if isinstance(item, dict) else key
                pending.append(((*path, step), item))
