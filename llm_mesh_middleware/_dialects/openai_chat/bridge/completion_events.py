"""Converts a completion to the stream of events that a provider would have sent for it.

Members stay raw bytes, so that numbers keep their spelling and text its escapes. If msgspec rejects
JSON that the SDKs accept (`sdk_json`), they are Python values instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ...._core.http.sse import make_event
from ...._core.values.payload import encode_fields
from ..facts import DONE
from .item_identity import index_of
from .sdk_json import MAX_BYTES, ConversionLimit, check_size, decode_json, encode_json

__all__ = ["NoCompletion", "completion_to_events"]

# Members of an object, or items of a list: raw, or decoded.
_Members = dict[str, Any]
_Encode = Callable[[_Members], bytes]

_CHUNK_OBJECTS = {"chat.completion": "chat.completion.chunk"}

# Members that every chunk of a stream carries; any other is sent once.
_IN_EVERY_CHUNK = ("id", "object", "created", "model", "system_fingerprint", "service_tier")

# Shared members are repeated in every chunk, so a small body could become very large.
_MAX_EVENTS_BYTES = 4 * MAX_BYTES

_BOM = b"\xef\xbb\xbf"

# JSON has line ends only between members, never inside a string.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode


class NoCompletion(ValueError):
    """The body is not a completion: it has no list of choices."""


def completion_to_events(body: bytes, *, include_usage: bool) -> bytes:
    """Return the stream that a provider would have sent for the completion `body`.

    Args:
        body: A `chat.completion` or a `text_completion`.
        include_usage: Whether the client requested `stream_options.include_usage`.

    Raises:
        NoCompletion: The body is something else.
        ConversionLimit: The body is too large or nested too deeply.
    """
    check_size(len(body))
    completion, encode = _read(body.translate(_ONE_LINE))
    choices = _items(completion.pop("choices", None))
    if choices is None:
        raise NoCompletion
    usage = _set(completion.pop("usage", None))
    events, size = [], 0
    for chunk in _chunks(completion, choices, usage if include_usage else None):
        events.append(make_event(encode(chunk)))
        size += len(events[-1])
        if size > _MAX_EVENTS_BYTES:
            raise ConversionLimit(f"sent a completion that makes more than {size} bytes of events")
    return b"".join((*events, make_event(DONE)))


def _read(body: bytes) -> tuple[_Members, _Encode]:
    """Return the members of the body, and the encoder for chunks of them."""
    try:
        value = decode_json(body)
    except ConversionLimit:
        raise
    except ValueError:
        raise NoCompletion from None
    if not isinstance(value, dict):
        raise NoCompletion
    try:
        return _decode_members(body.removeprefix(_BOM)), encode_fields
    except (msgspec.DecodeError, RecursionError):
        return value, encode_json


def _chunks(completion: _Members, choices: list[Any], usage: object) -> Iterator[_Members]:
    """Yield the chunks, the last of them with `usage` unless it is None."""
    parts = [part for at, choice in enumerate(choices) for part in _parts(choice, at)]
    kind = _plain(completion.get("object")) or _kind(parts)
    if kind in _CHUNK_OBJECTS:
        completion["object"] = _CHUNK_OBJECTS[kind]
    shared = {name: completion[name] for name in _IN_EVERY_CHUNK if name in completion}
    counts = {} if usage is None else {"usage": None}
    first = completion
    for part in parts:
        yield {**first, "choices": [part], **counts}
        first = shared
    if usage is not None or not parts:
        yield {**first, "choices": [], "usage": usage}


def _parts(choice: object, position: int) -> Iterator[_Members]:
    """Yield a message as one delta, then its finish reason; a text has one form only."""
    members = _members(choice)
    if members is None:
        raise NoCompletion
    index = index_of(_plain(members.get("index")))
    members["index"] = index = position if index is None else index
    message = _set(members.pop("message", None))
    if message is None:
        yield members
        return
    delta = _members(message)
    if delta is None:
        raise NoCompletion
    calls = _items(delta.get("tool_calls"))
    if calls is not None:
        delta["tool_calls"] = [_numbered(call, at) for at, call in enumerate(calls)]
    reason = members.pop("finish_reason", None)
    yield {**members, "delta": delta, "finish_reason": None}
    yield {"index": index, "delta": {}, "finish_reason": reason}


def _numbered(call: object, index: int) -> object:
    """Return a tool call with its index, by which SDKs identify calls."""
    members = _members(call)
    return call if members is None else {**members, "index": index}


def _kind(parts: list[_Members]) -> str:
    return "chat.completion" if any("delta" in part for part in parts) else "text_completion"


def _members(value: object) -> _Members | None:
    """Return the members of an object, or None for anything else."""
    if isinstance(value, msgspec.Raw):
        try:
            return _decode_members(value)
        except msgspec.DecodeError:
            return None
    return value if isinstance(value, dict) else None


def _items(value: object) -> list[Any] | None:
    """Return the items of a list, or None for anything else."""
    if isinstance(value, msgspec.Raw):
        try:
            return _decode_items(value)
        except msgspec.DecodeError:
            return None
    return value if isinstance(value, list) else None


def _set(value: object) -> object:
    """Return the value, None if it is null or absent."""
    return None if isinstance(value, msgspec.Raw) and bytes(value) == b"null" else value


def _plain(value: object) -> Any:
    return _decode_value(value) if isinstance(value, msgspec.Raw) else value
