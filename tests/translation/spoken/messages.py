"""Anthropic's Messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_mesh_middleware._dialects import anthropic
from llm_mesh_middleware.testing import Stream
from tests.translation.judging import judged
from tests.translation.messages_shapes import block, end, start, text, use, words
from tests.translation.spoken.rows import (
    CACHED,
    ERROR_WORDS,
    INPUT,
    KEY,
    OUTPUT,
    REASONED,
    SIGNATURE,
    Call,
    Part,
    Provider,
    Spoken,
)
from tests.translation.worlds import events

__all__ = ["SPOKEN"]

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


def _write(part: Part) -> dict[str, Any]:
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    blocks: list[dict[str, Any]] = []
    if part.thought:
        blocks.append({"type": "thinking", "thinking": part.thought, "signature": "c2ln"})
    blocks += [text(part.text)] if part.text else []
    blocks += [use(id, name, args) for id, name, args in part.calls]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": blocks,
        "stop_reason": reasons.get(part.finish, "refusal"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT - CACHED,
            "cache_read_input_tokens": CACHED,
            "cache_creation_input_tokens": 0,
            "output_tokens": OUTPUT,
            "output_tokens_details": {"thinking_tokens": REASONED},
        },
    }


def _thinks(thought: str, signature: str) -> list[dict[str, Any]]:
    return block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": thought},
        {"type": "signature_delta", "signature": signature},
    )


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    blocks = [*_thinks(thought, SIGNATURE), *block(1, text(""), *words(said))]
    for number, (id, name, args) in enumerate(calls, 2):
        piece = {"type": "input_json_delta", "partial_json": json.dumps(args)}
        blocks += block(number, use(id, name, {}), piece)
    return Stream(events(start(), *blocks, *end("tool_use" if calls else "end_turn")))


def _error(status: int) -> Mapping[str, Any]:
    kind = _ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": ERROR_WORDS}}


SPOKEN = Spoken(
    side=anthropic.SIDES,
    ask='{"messages": [], "stream": true, "max_tokens": 9}',
    stream=events(
        start(cache_read_input_tokens=4),
        {"type": "ping"},
        *_thinks("hm", "sig"),
        *block(1, text(""), *words("Grüße, ", "世界")),
        *block(2, use("a", "one", {}), {"type": "input_json_delta", "partial_json": '{"x":1}'}),
        *block(3, use("b", "two", {}), {"type": "input_json_delta", "partial_json": '{"y":2}'}),
        *end("tool_use"),
    ),
    last=2,
    end=b"message_stop",
    provider=Provider(
        config={"anthropicConfig": {"apiKey": KEY, "model": "claude"}},
        path="/v1/messages",
        write=_write,
        plays=_plays,
        judge=judged,
        error=_error,
        vendor="anthropic",
        proof=SIGNATURE,
    ),
)
