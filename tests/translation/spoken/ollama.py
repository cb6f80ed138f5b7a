"""Ollama's own chat."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from llm_mesh_middleware._dialects import ollama
from llm_mesh_middleware.testing import RecordedRequest, Stream
from tests.translation.spoken.rows import (
    ERROR_WORDS,
    INPUT,
    KEY,
    OUTPUT,
    Call,
    Part,
    Provider,
    Spoken,
)

__all__ = ["COUNTED", "SPOKEN", "called", "judged", "line", "stream"]

COUNTED = {"prompt_eval_count": 5, "eval_count": 7}
_COUNTED = {"prompt_eval_count": INPUT, "eval_count": OUTPUT}
_LINES = [("content-type", "application/x-ndjson")]


def judged(request: RecordedRequest) -> Any:
    """Return the body, which the types of Ollama's SDK must accept, and know each member of."""
    types = pytest.importorskip("ollama._types")
    body = request.json()
    assert request.path == "/api/chat"
    types.ChatRequest.model_validate(body)
    assert body.keys() <= types.ChatRequest.model_fields.keys()
    assert body.get("options", {}).keys() <= types.Options.model_fields.keys()
    for message in body["messages"]:  # the SDK's type is behind the server's here
        assert message.keys() <= {*types.Message.model_fields, "tool_call_id"}
    return body


def line(message: Any, **more: Any) -> bytes:
    """Return one line of a stream."""
    said = {"role": "assistant", "content": "", **message}
    answer = {"model": "o", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}
    return json.dumps(answer | more).encode() + b"\n"


def called(name: str, arguments: Any, **more: Any) -> Any:
    """Return a call of a message."""
    return {"function": {"name": name, "arguments": arguments}, **more}


def stream(*lines: bytes) -> Stream:
    """Return lines as the server sends them."""
    return Stream(list(lines), headers=_LINES)


def _write(part: Part) -> dict[str, Any]:
    message: dict[str, Any] = {"content": part.text}
    message |= {"thinking": part.thought} if part.thought else {}
    if part.calls:
        message["tool_calls"] = [called(name, args, id=id) for id, name, args in part.calls]
    reason = "length" if part.finish == "length" else "stop"
    written: dict[str, Any] = json.loads(line(message, done=True, done_reason=reason, **_COUNTED))
    return written


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    return stream(
        line({"thinking": thought}),
        line({"content": said}),
        *[line({"tool_calls": [called(name, args, id=id)]}) for id, name, args in calls],
        line({}, done=True, done_reason="stop", **_COUNTED),
    )


def _told(kind: str, pieces: Sequence[str]) -> bytes:
    if kind == "arguments":  # it sends the arguments of a call in one piece
        lines = [line({"tool_calls": [called("send", {"to": "".join(pieces)}, id="call_1")]})]
    elif kind == "thought":
        lines = [*(line({"thinking": each}) for each in pieces), line({"content": "Done."})]
    else:
        lines = [line({"content": each}) for each in pieces]
    return b"".join(lines) + line({}, done=True, done_reason="stop")


SPOKEN = Spoken(
    side=ollama.DIALECT,
    stream=[
        line({"thinking": "hm"}),
        line({"content": "Grüße, "}),
        line({"content": "世界"}),
        line({"tool_calls": [called("one", {"x": 1}, id="a")]}),
        line({"tool_calls": [called("two", {"y": 2}, id="b")]}),
        line({}, done=True, done_reason="stop", **COUNTED),
    ],
    last=1,
    more=line({"content": "word"}),
    told=_told,
    provider=Provider(
        config={
            "ollamaConfig": {
                "apiKey": KEY,
                "model": "qwen3",
                "options": {"num_ctx": 8192},
                "thinking": "auto",
            }
        },
        path="/api/chat",
        write=_write,
        plays=_plays,
        judge=judged,
        error=lambda status: {"error": ERROR_WORDS},
        vendor="ollama",
        counts=False,
        cached=0,
        tells={"refused": "stop"},  # it has no reason but this and the limit of tokens
    ),
)
