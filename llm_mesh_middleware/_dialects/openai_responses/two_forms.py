"""Splits a response into events: each item, its parts, and the whole response at the end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from ..objects import objects_in, read_object

__all__ = ["split_response"]

# The parts of a message: the member with their text, and the name of the events with it.
_PARTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "output_text": ("text", "response.output_text", {"logprobs": []}),
    "refusal": ("refusal", "response.refusal", {}),
}
# The items that are one text: its member, and the name of the events with it.
_ITEMS = {
    "function_call": ("arguments", "response.function_call_arguments", "arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input", "input"),
}


def split_response(body: bytes) -> bytes:
    """Return a whole response as a stream."""
    numbers = count()
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (name.encode(), msgspec.json.encode({"type": name, "sequence_number": number, **event}))
        for number, (name, event) in zip(numbers, _events(read_object(body)), strict=False)
    )


def _events(response: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    for index, item in enumerate(objects_in(response.get("output"))):
        yield from _item(item, {"output_index": index})
    yield "response.completed", {"response": response}


def _item(item: dict[str, Any], place: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    kind, at = item.get("type"), {"item_id": item.get("id", ""), **place}
    started = {**item, "status": "in_progress"} if "status" in item else dict(item)
    if kind == "message":
        started["content"] = []
    elif kind in _ITEMS:
        started[_ITEMS[kind][0]] = ""
    elif kind == "reasoning":
        started["summary"] = []
    yield "response.output_item.added", {**place, "item": started}
    if kind == "message":
        for number, part in enumerate(objects_in(item.get("content"))):
            yield from _part(part, {**at, "content_index": number})
    elif kind in _ITEMS:
        member, name, whole = _ITEMS[kind]
        text = item.get(member, "")
        yield f"{name}.delta", {**at, "delta": text}
        yield f"{name}.done", {**at, whole: text, "name": item.get("name")}
    elif kind == "reasoning":
        for number, part in enumerate(objects_in(item.get("summary"))):
            yield from _summary(part, {**at, "summary_index": number})
    yield "response.output_item.done", {**place, "item": item}


def _part(part: dict[str, Any], at: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    known = _PARTS.get(part.get("type", ""))
    if known is None:
        yield "response.content_part.added", {**at, "part": part}
    else:
        member, name, more = known
        text = part.get(member, "")
        started = {**part, member: ""} | ({"annotations": []} if "annotations" in part else {})
        yield "response.content_part.added", {**at, "part": started}
        yield f"{name}.delta", {**at, "delta": text, **more}
        yield f"{name}.done", {**at, member: text, **more}
    yield "response.content_part.done", {**at, "part": part}


def _summary(part: dict[str, Any], at: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    name, text = "response.reasoning_summary_text", part.get("text", "")
    yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
    yield f"{name}.delta", {**at, "delta": text}
    yield f"{name}.done", {**at, "text": text}
    yield "response.reasoning_summary_part.done", {**at, "part": part}
