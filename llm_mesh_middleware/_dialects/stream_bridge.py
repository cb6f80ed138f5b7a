"""Between the two forms of one answer: a JSON object, and the stream of events that amounts to it.

Used where the configuration has a provider answer in the form that the client did not ask for.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .._core.http.sse import EventCutter, event_data, make_event
from .._core.values.payload import Fields, encode_fields, raw
from .._core.values.usage import Usage
from .merging import Items, Json, encode, merge
from .progress import DONE, StreamProgress

__all__ = ["BrokenStream", "NoCompletion", "completion_to_events", "events_to_completion"]

_NULL = raw(None)
_CHUNK_OBJECTS = {"chat.completion": "chat.completion.chunk"}
_WHOLE_OBJECTS = {chunk: whole for whole, chunk in _CHUNK_OBJECTS.items()}

# What the members of a choice in a stream may be, beside null.
_SHAPES: dict[str, type] = {"index": int, "delta": dict, "logprobs": dict, "text": str}


class NoCompletion(ValueError):
    """The body is no completion: it has no list of choices."""


class BrokenStream(ValueError):
    """The stream ends too early, or one of its events tells of an error or cannot be read."""


class _Whole(msgspec.Struct):
    choices: list[Fields]
    object: str | None = None


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
    usage = shared.pop("usage", _NULL)
    include_usage = include_usage and bytes(usage) != b"null"
    if whole.object in _CHUNK_OBJECTS:
        shared["object"] = raw(_CHUNK_OBJECTS[whole.object])
    events = []
    try:
        for choice in whole.choices:
            for part in _chunks(choice):
                chunk = shared | {"choices": raw([part])}
                if include_usage:
                    chunk["usage"] = _NULL
                events.append(make_event(encode_fields(chunk)))
    except msgspec.DecodeError as exc:  # a message that is no object
        raise NoCompletion from exc
    if include_usage:
        events.append(make_event(encode_fields(shared | {"choices": raw([]), "usage": usage})))
    return b"".join((*events, make_event(DONE)))


def _chunks(choice: Fields) -> Iterator[Fields]:
    """A message as one delta, then its finish reason; a text has the same members in both forms."""
    if "message" not in choice:
        yield choice
        return
    delta = _decode_fields(choice["message"])
    if bytes(delta.get("tool_calls", _NULL)) != b"null":
        calls = _decode_items(delta["tool_calls"])
        delta["tool_calls"] = raw([{"index": raw(i)} | call for i, call in enumerate(calls)])
    rest = {name: value for name, value in choice.items() if name != "message"}
    yield rest | {"delta": raw(delta), "finish_reason": _NULL}
    last = {name: value for name, value in rest.items() if name in ("index", "finish_reason")}
    yield last | {"delta": raw({})}


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
        if progress.has_failed:
            raise BrokenStream("broke off its stream with an error")
        if data.strip() == DONE:
            continue
        chunk = _decode_chunk(data)
        for choice in chunk.pop("choices", None) or ():
            _merge_choice(choices.setdefault(choice.get("index") or 0, {}), choice)
        shared.update((k, v) for k, v in chunk.items() if v is not None or k not in shared)
    if not progress.is_complete or not choices:
        raise BrokenStream("ended its stream too early")
    shared["object"] = _whole_object(shared.get("object"))
    shared["choices"] = [_finished(index, choices[index]) for index in sorted(choices)]
    return encode(shared), progress.usage


def _all_data(body: bytes) -> Iterator[bytes]:
    cutter = EventCutter(len(body))
    for event in cutter.feed(body):
        if data := event_data(event):
            yield data
    if data := event_data(cutter.rest()):
        yield data


def _decode_chunk(data: bytes) -> Json:
    """One event's members, of the shapes that the merging relies on."""
    try:
        chunk = _decode_any(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BrokenStream("sent an event that cannot be read") from exc
    choices = chunk.get("choices") or []
    if not isinstance(choices, list) or not all(map(_is_choice, choices)):
        raise BrokenStream("sent an event that is no part of a completion")
    return chunk


def _is_choice(choice: object) -> bool:
    return isinstance(choice, dict) and all(
        choice.get(name) is None or isinstance(choice[name], shape)
        for name, shape in _SHAPES.items()
    )


def _merge_choice(choice: Json, part: Json) -> None:
    """Deltas, token probabilities and text go on one another; of the rest the last one counts."""
    grown = {"message": part.pop("delta", None), "logprobs": part.pop("logprobs", None)}
    if "text" in part:
        grown["text"] = part.pop("text")
    merge(choice, {name: value for name, value in grown.items() if value is not None})
    choice.update((k, v) for k, v in part.items() if v is not None or k not in choice)


def _whole_object(kind: object) -> object:
    return _WHOLE_OBJECTS.get(kind, kind) if isinstance(kind, str) else "chat.completion"


def _finished(index: int, choice: Json) -> Json:
    """The choice as the whole form has it: `content` always there, tool calls without `index`."""
    choice["index"] = index
    choice.setdefault("logprobs", None)
    message = choice.get("message")
    if message is not None:
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        calls = message.get("tool_calls")
        if isinstance(calls, Items):
            message["tool_calls"] = [_without_index(call) for call in calls.plain()]
    return choice


def _without_index(call: object) -> object:
    if not isinstance(call, dict):
        return call
    return {name: value for name, value in call.items() if name != "index"}
