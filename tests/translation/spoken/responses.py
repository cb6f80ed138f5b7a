"""OpenAI's Responses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llm_mesh_middleware._dialects import openai_responses
from llm_mesh_middleware.testing import Stream
from tests.translation.judging import judged
from tests.translation.spoken.chat import openai_error
from tests.translation.spoken.rows import (
    CACHED,
    INPUT,
    KEY,
    OUTPUT,
    REASONED,
    Call,
    Part,
    Provider,
    Spoken,
)
from tests.translation.test_others_to_responses import text_events
from tests.translation.worlds import events

__all__ = ["SPOKEN"]


def _write(part: Part) -> dict[str, Any]:
    reasons = {"length": "max_output_tokens", "refused": "content_filter"}
    items: list[dict[str, Any]] = []
    if part.thought:
        summary = [{"type": "summary_text", "text": part.thought}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if part.text:
        said = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
        head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        items.append(head | {"content": [said]})
    items += [
        {
            "type": "function_call",
            "id": f"fc_{id}",
            "call_id": id,
            "name": name,
            "arguments": json.dumps(args),
            "status": "completed",
        }
        for id, name, args in part.calls
    ]
    reason = reasons.get(part.finish)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt",
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": items,
        "usage": {
            "input_tokens": INPUT,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": REASONED},
            "total_tokens": INPUT + OUTPUT,
        },
    }


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    finish = "tool_calls" if calls else "stop"
    response = _write(Part(said, thought, calls, finish))
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    given: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(response["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        given.append({"type": "response.output_item.added", **at, "item": item})
        if item["type"] == "message":
            text = {"content_index": 0, "delta": said, "logprobs": []}
            given.append({"type": "response.output_text.delta", **at, **text})
        if item["type"] == "reasoning":
            summary = {"summary_index": 0, "delta": thought}
            given.append({"type": "response.reasoning_summary_text.delta", **at, **summary})
        given.append({"type": "response.output_item.done", **at, "item": item})
    given.append({"type": "response.completed", "response": response})
    return Stream(events(*({**one, "sequence_number": n} for n, one in enumerate(given))))


SPOKEN = Spoken(
    side=openai_responses.SIDES,
    ask='{"input": "hi", "stream": true, "store": false}',
    stream=events(*text_events()),
    last=1,
    end=b"response.completed",
    provider=Provider(
        config={"openAIConfig": {"apiKey": KEY, "model": "gpt", "apis": ["responses"]}},
        path="/v1/responses",
        write=_write,
        plays=_plays,
        judge=judged,
        error=openai_error,
    ),
)
