"""Chat completions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_mesh_middleware._dialects import openai_chat
from llm_mesh_middleware.testing import Stream
from tests.translation.chat_shapes import DONE, USAGE, chunk
from tests.translation.judging import judged
from tests.translation.spoken.rows import (
    CACHED,
    ERROR_WORDS,
    INPUT,
    KEY,
    OUTPUT,
    REASONED,
    Call,
    Part,
    Provider,
    Spoken,
)
from tests.translation.worlds import events

__all__ = ["SPOKEN", "openai_error"]


def _piece(index: int, arguments: str, **more: Any) -> Any:
    function: dict[str, Any] = {"arguments": arguments, **more.pop("function", {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **more}]})


def _write(part: Part) -> dict[str, Any]:
    words = {"refused": "content_filter"}
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for id, name, args in part.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": part.text or None}
    message |= {"tool_calls": made} if made else {}
    message |= {"reasoning_content": part.thought} if part.thought else {}
    finish = words.get(part.finish, part.finish)
    usage = {
        "prompt_tokens": INPUT,
        "completion_tokens": OUTPUT,
        "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": CACHED},
        "completion_tokens_details": {"reasoning_tokens": REASONED},
    }
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt"}
    return head | {"choices": [choice], "usage": usage}


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    begun = [_piece(i, "", id=id, function={"name": name}) for i, (id, name, _) in enumerate(calls)]
    said_calls = [_piece(i, json.dumps(args)) for i, (_, _, args) in enumerate(calls)]
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    return Stream(
        events(
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning_content": thought}),
            chunk({"content": said}),
            *begun,
            *said_calls,
            chunk({}, "tool_calls" if calls else "stop"),
            chunk(usage=usage),
            DONE,
        )
    )


def openai_error(status: int) -> Mapping[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": ERROR_WORDS, "type": "x", "param": None, "code": None}}


SPOKEN = Spoken(
    side=openai_chat.SIDES,
    ask='{"messages": [], "stream": true, "stream_options": {"include_usage": true}}',
    stream=events(
        b": a comment\n\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Grüße, 世界"}),
        _piece(0, "", id="a", function={"name": "one"}),
        _piece(1, '{"y":', id="b", function={"name": "two"}),
        _piece(0, '{"x":1}'),
        _piece(1, "2}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    ),
    last=3,
    end=b"[DONE]",
    provider=Provider(
        config={"openAIConfig": {"apiKey": KEY, "model": "qwen", "apis": ["chat"]}},
        path="/v1/chat/completions",
        write=_write,
        plays=_plays,
        judge=judged,
        error=openai_error,
        counts=False,
    ),
)
