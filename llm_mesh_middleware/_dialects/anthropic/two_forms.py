"""A message as JSON and as the events of a stream.

message   message_start  ( content_block_start  content_block_delta ...  content_block_stop ) ...
          message_delta  message_stop

The start of a block has all members except those that grow; one delta for each of these follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..._core.http.sse import EventCutter, event_data
from ..objects import objects_in, read_object

__all__ = ["join_events", "split_message"]

# The type of a delta, its member, and the member of the block that it grows.
_GROWING = (
    ("thinking_delta", "thinking", "thinking"),
    ("signature_delta", "signature", "signature"),
    ("text_delta", "text", "text"),
)
# Members of a message that are known at its end.
_OF_THE_END = ("stop_reason", "stop_sequence", "stop_details", "container")
_DELTAS = {kind: (member, of) for kind, member, of in _GROWING}


class _Unknown(Exception):
    """An unknown event: the stream cannot be joined."""


def join_events(events: bytes) -> dict[str, Any] | None:
    """Return the message of a stream; None if the stream is cut off or has unknown events."""
    joined = _Joined()
    try:
        for event in EventCutter().feed(events):
            if data := event_data(event):
                joined.add(read_object(data))
        return joined.message if joined.is_over else None
    except (_Unknown, msgspec.MsgspecError, KeyError, IndexError, TypeError):
        return None


class _Joined:
    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.is_over = False
        self._inputs: dict[int, str] = {}

    def add(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self.message = {**event["message"], "content": []}
        elif kind == "content_block_start":
            self.message["content"].append(event["content_block"])
        elif kind == "content_block_delta":
            self._grow(self.message["content"][event["index"]], event["index"], event["delta"])
        elif kind == "message_delta":
            usage = {**(self.message.get("usage") or {}), **(event.get("usage") or {})}
            self.message |= {**event["delta"], "usage": usage}
        elif kind == "message_stop":
            for index, text in self._inputs.items():
                self.message["content"][index]["input"] = msgspec.json.decode(text or "{}")
            self.is_over = True
        elif kind not in ("ping", "content_block_stop"):
            raise _Unknown

    def _grow(self, block: dict[str, Any], index: int, delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if kind == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif kind in _DELTAS:
            member, of = _DELTAS[kind]
            block[of] = (block.get(of) or "") + delta[member]
        else:
            raise _Unknown


def split_message(body: bytes) -> bytes:
    """Return a whole message as a stream."""
    return b"".join(map(_event, _events(read_object(body))))


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message.get("usage") or {}
    ended = {name: message[name] for name in _OF_THE_END if name in message}
    initial: dict[str, Any] = {**dict.fromkeys(ended), "content": []}
    counted = {"usage": {**usage, "output_tokens": 0}}
    yield {"type": "message_start", "message": {**message, **initial, **counted}}
    for index, block in enumerate(objects_in(message.get("content"))):
        start, deltas = _block(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], Iterable[dict[str, Any]]]:
    start, deltas = dict(block), []
    if block.get("type") == "tool_use":
        start["input"] = {}
        text = msgspec.json.encode(block.get("input", {})).decode()
        return start, [{"type": "input_json_delta", "partial_json": text}]
    if block.get("citations"):
        start["citations"] = []
        deltas = [{"type": "citations_delta", "citation": each} for each in block["citations"]]
    for kind, member, of in _GROWING:
        if isinstance(block.get(of), str):
            start[of] = ""
            deltas.append({"type": kind, member: block[of]})
    return start, deltas


def _event(event: dict[str, Any]) -> bytes:
    name = event["type"].encode()
    return b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(event))
