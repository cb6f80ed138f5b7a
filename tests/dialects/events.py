"""Streams as a test writes and reads them."""

from __future__ import annotations

import json
from typing import Any

from llm_mesh_middleware._dialects.openai_chat.bridge import events_to_completion

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def chunks_of(stream: bytes) -> list[Json]:
    """The events of a well-formed stream, decoded; the last must be [DONE]."""
    events = stream.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def stream_of(*chunks: Json, done: bool = True) -> bytes:
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return b"".join(events) + (DONE if done else b"")


def deltas(*parts: Json, reason: str | None = "stop") -> bytes:
    """A stream of one choice with these deltas."""
    shared = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": part, "finish_reason": None} for part in parts]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    return stream_of(*(shared | {"choices": [choice]} for choice in choices))


def message_of(stream: bytes) -> Json:
    completion = json.loads(events_to_completion(stream))
    assert completion["object"] == "chat.completion"
    return dict(completion["choices"][0]["message"])
