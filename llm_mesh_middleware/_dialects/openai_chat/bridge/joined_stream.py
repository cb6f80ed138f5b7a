"""Joins a stream of completion chunks to one completion."""

from __future__ import annotations

from collections.abc import Iterator

from ...._core.http.sse import EventCutter, EventTooLong, event_data
from ...error_objects import reports_error
from ..facts import DONE
from .item_identity import Json
from .joined_choices import JoinedChoices, NoChoice
from .merging import encode
from .sdk_json import MAX_BYTES, ConversionLimit, check_size, decode_json, weight

__all__ = ["BrokenStream", "events_to_completion"]

_WHOLE_OBJECTS = {"chat.completion.chunk": "chat.completion"}

# Smaller bodies are not weighed: even one that consists of brackets takes little memory.
_SMALL_BYTES = 2**20

# Members with the usage of providers that have no `usage` in their chunks.
_COUNTING = ("x_groq",)


class BrokenStream(ValueError):
    """The stream ends too early, or one of its events is an error or cannot be read."""


def events_to_completion(body: bytes) -> bytes:
    """Return the completion of the stream `body`.

    Raises:
        BrokenStream: The stream is not whole.
        ConversionLimit: The completion would be too large, or nested too deeply.
    """
    choices = JoinedChoices()
    shared, is_done = _join(body, choices)
    if choices.counts_tokens:
        choices = JoinedChoices(is_single=True)
        _join(body, choices)
    if not choices or not (is_done or choices.are_finished):
        raise BrokenStream("ended its stream too early")
    members = choices.plain()
    shared["object"] = _whole_object(shared.get("object"), members)
    if usage := shared.get("usage") or _usage_elsewhere(shared, members):
        shared["usage"] = usage
    shared["choices"] = members
    return encode(shared)


def _join(body: bytes, choices: JoinedChoices) -> tuple[Json, bool]:
    """Add the choices to `choices`; return the other members, and whether [DONE] arrived."""
    shared: Json = {}
    is_done, kept = False, 0
    is_weighed = len(body) > _SMALL_BYTES
    for data in _all_data(body):
        if is_done := data.strip() == DONE:
            break
        chunk = _read(data)
        if chunk is None:
            continue
        parts = chunk.pop("choices", None)
        if is_weighed:
            kept += weight(parts)
            check_size(kept)
        if reports_error(chunk.get("error"), chunk.get("type"), has_content=bool(parts)):
            raise BrokenStream("broke off its stream with an error")
        try:
            choices.take(parts)
        except NoChoice:
            raise BrokenStream("sent an event that is not part of a completion") from None
        shared.update((k, v) for k, v in chunk.items() if v or k not in shared)
    return shared, is_done


def _all_data(body: bytes) -> Iterator[bytes]:
    cutter = EventCutter(MAX_BYTES)
    try:
        for event in cutter.feed(body):
            check_size(len(event))
            if data := event_data(event):
                yield data
    except EventTooLong:
        check_size(len(body))
    if data := event_data(cutter.rest()):
        yield data


def _read(data: bytes) -> Json | None:
    """Return the members of an event; None if it is JSON, but not an object."""
    try:
        chunk = decode_json(data)
    except ConversionLimit:
        raise
    except ValueError:
        raise BrokenStream("sent an event that is not JSON") from None
    return chunk if isinstance(chunk, dict) else None


def _whole_object(kind: object, choices: list[Json]) -> object:
    if kind and isinstance(kind, str):
        return _WHOLE_OBJECTS.get(kind, kind)
    is_text = all("text" in choice and "message" not in choice for choice in choices)
    return "text_completion" if is_text else "chat.completion"


def _usage_elsewhere(shared: Json, choices: list[Json]) -> object:
    """Return the usage in a choice or in a provider's own member, or None."""
    for holder in (*map(shared.get, _COUNTING), *choices):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return holder["usage"]
    return None
