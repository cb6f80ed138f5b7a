"""Between the two forms of one answer: a JSON object, and the stream of events that amounts to it.

Used where the configuration has a provider answer in the form that the client did not ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from .._core.payload import Fields, encode_fields, raw
from .._core.progress import DONE, StreamProgress
from .._core.sse import EventCutter, event_data, make_event
from .._core.usage import Usage

__all__ = ["BrokenStream", "NoCompletion", "completion_to_events", "events_to_completion"]

Json = dict[str, Any]

_NULL = raw(None)
_CHUNK_OBJECTS = {"chat.completion": "chat.completion.chunk"}
_WHOLE_OBJECTS = {chunk: whole for whole, chunk in _CHUNK_OBJECTS.items()}

# Members of a delta that name a thing rather than continue it: some providers repeat them.
_NAMING = frozenset(("id", "index", "name", "role", "type"))


class NoCompletion(ValueError):
    """The body is no completion: it has no list of choices."""


class BrokenStream(ValueError):
    """The stream ends too early, or one of its events tells of an error or cannot be read."""


class _Whole(msgspec.Struct):
    object: str = ""
    choices: list[Fields] | None = None


_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode
_decode_items = msgspec.json.Decoder(list[Fields]).decode
_decode_any = msgspec.json.Decoder(Json).decode


def completion_to_events(body: bytes, *, include_usage: bool) -> bytes:
    """The stream that a provider would have sent for the completion `body`.

    Args:
        body: a `chat.completion` or a `text_completion`.
        include_usage: whether the client asked for `stream_options.include_usage`.

    Raises:
        NoCompletion: the body is something else.
    """
    try:
        shared, whole = _decode_fields(body), _decode_whole(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise NoCompletion from exc
    if whole.choices is None:
        raise NoCompletion
    usage = shared.pop("usage", _NULL)
    shared["object"] = raw(_CHUNK_OBJECTS.get(whole.object, whole.object))
    split = _message_chunks if whole.object in _CHUNK_OBJECTS else _text_chunks
    events = []
    for choice in whole.choices:
        for part in split(choice):
            chunk = shared | {"choices": raw([part])}
            if include_usage:
                chunk["usage"] = _NULL
            events.append(make_event(encode_fields(chunk)))
    if include_usage:
        events.append(make_event(encode_fields(shared | {"choices": raw([]), "usage": usage})))
    return b"".join((*events, make_event(DONE)))


def _message_chunks(choice: Fields) -> Iterator[Fields]:
    """The message as one delta, then its finish reason."""
    delta = _decode_fields(choice.get("message", raw({})))
    if bytes(delta.get("tool_calls", _NULL)) != b"null":
        calls = _decode_items(delta["tool_calls"])
        delta["tool_calls"] = raw([{"index": raw(i)} | call for i, call in enumerate(calls)])
    rest = {name: value for name, value in choice.items() if name != "message"}
    yield rest | {"delta": raw(delta), "finish_reason": _NULL}
    last = {name: value for name, value in rest.items() if name in ("index", "finish_reason")}
    yield last | {"delta": raw({})}


def _text_chunks(choice: Fields) -> Iterator[Fields]:
    """A text completion's choice has the same members in both forms."""
    yield choice


def events_to_completion(body: bytes) -> tuple[bytes, Usage | None]:
    """The completion that the stream `body` amounts to, and its token counts.

    Raises:
        BrokenStream: the stream is not whole.
    """
    progress = StreamProgress()
    shared: Json = {}
    choices: dict[int, Json] = {}
    for data in _all_data(body):
        if progress.see(data) is None:
            raise BrokenStream("sent an event that is not JSON")
        if data == DONE:
            continue
        chunk = _decode_any(data)
        if "error" in chunk:
            raise BrokenStream("broke off its stream with an error")
        for choice in chunk.pop("choices", None) or ():
            _merge_choice(choices.setdefault(choice.get("index", 0), {}), choice)
        shared.update((k, v) for k, v in chunk.items() if v is not None or k not in shared)
    if not progress.is_complete or not choices:
        raise BrokenStream("ended its stream too early")
    kind = shared.get("object", "")
    shared["object"] = _WHOLE_OBJECTS.get(kind, kind)
    shared["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    return msgspec.json.encode(shared), progress.usage


def _all_data(body: bytes) -> Iterator[bytes]:
    cutter = EventCutter(len(body))
    for event in cutter.feed(body):
        if data := event_data(event):
            yield data
    if data := event_data(cutter.rest()):
        yield data


def _merge_choice(choice: Json, part: Json) -> None:
    delta = part.pop("delta", None)
    if delta is not None:
        _merge(choice.setdefault("message", {}), delta)
    logprobs = part.pop("logprobs", None)
    if logprobs is not None:
        _merge(choice.setdefault("logprobs", {}), logprobs)
    text = part.pop("text", None)
    if text is not None:
        choice["text"] = choice.get("text", "") + text
    choice.update((k, v) for k, v in part.items() if v is not None or k not in choice)


def _merge(whole: Json, part: Json) -> None:
    """Continue `whole` with `part`: text and lists grow, indexed items are continued in place."""
    for name, value in part.items():
        known = whole.get(name)
        if known is None or value is None:
            if known is None:
                whole[name] = _indexed(value)
        elif isinstance(known, str) and isinstance(value, str):
            if name not in _NAMING or not known:
                whole[name] = known + value
        elif isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            _extend(known, value)
        else:
            whole[name] = value


def _indexed(value: Any) -> Any:
    """A first list may already hold several parts of one item."""
    if not isinstance(value, list):
        return value
    items: list[Any] = []
    _extend(items, value)
    return items


def _extend(items: list[Any], parts: list[Any]) -> None:
    for part in parts:
        index = part.get("index") if isinstance(part, dict) else None
        known = next((i for i in items if isinstance(i, dict) and i.get("index") == index), None)
        if index is None or known is None:
            items.append(part)
        else:
            _merge(known, part)


def _finished(choice: Json) -> Json:
    """The choice as the whole form has it: `content` always there, tool calls without `index`."""
    message = choice.get("message")
    if message is not None:
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
        choice.setdefault("logprobs", None)
    return choice
