"""Amazon Bedrock's Converse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llm_mesh_middleware._dialects import bedrock
from llm_mesh_middleware.testing import Stream
from tests.clouds import converse, frames
from tests.translation.spoken.rows import (
    CACHED,
    ERROR_WORDS,
    INPUT,
    KEY,
    OUTPUT,
    SIGNATURE,
    Call,
    Part,
    Provider,
    Spoken,
)

__all__ = ["SPOKEN"]

_ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_BEGIN = frames.event("messageStart", {"role": "assistant"})


def _block(index: int, *deltas: Any, **start: Any) -> list[bytes]:
    at = {"contentBlockIndex": index}
    begin = [frames.event("contentBlockStart", at | {"start": start})] if start else []
    said = [frames.event("contentBlockDelta", at | {"delta": delta}) for delta in deltas]
    return [*begin, *said, frames.event("contentBlockStop", at)]


def _call(index: int, id: str, name: str, *pieces: str) -> list[bytes]:
    deltas = [{"toolUse": {"input": piece}} for piece in pieces]
    return _block(index, *deltas, toolUse={"toolUseId": id, "name": name})


def _thought(index: int, thought: str, signature: str) -> list[bytes]:
    signed = {"reasoningContent": {"signature": signature}}
    return _block(index, {"reasoningContent": {"text": thought}}, signed)


def _end(reason: str, input: int, output: int) -> list[bytes]:
    usage = {"inputTokens": input, "outputTokens": output, "totalTokens": input + output}
    stop = frames.event("messageStop", {"stopReason": reason})
    return [stop, frames.event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})]


def _write(part: Part) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    if part.thought:
        thought = {"text": part.thought, "signature": "c2ln"}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    blocks += [{"text": part.text}] if part.text else []
    blocks += [
        {"toolUse": {"toolUseId": id, "name": name, "input": args}} for id, name, args in part.calls
    ]
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": _REASONS.get(part.finish, "guardrail_intervened"),
        "usage": {
            "inputTokens": INPUT - CACHED,
            "cacheReadInputTokens": CACHED,
            "outputTokens": OUTPUT,
            "totalTokens": INPUT + OUTPUT,
        },
        "metrics": {"latencyMs": 1},
    }


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    blocks = [*_thought(0, thought, SIGNATURE), *_block(1, {"text": said})]
    for number, (id, name, args) in enumerate(calls, 2):
        blocks += _call(number, id, name, json.dumps(args))
    return converse.stream(
        _BEGIN, *blocks, *_end("tool_use" if calls else "end_turn", INPUT, OUTPUT)
    )


def _told(kind: str, pieces: Sequence[str]) -> bytes:
    if kind == "arguments":
        blocks = _call(0, "a", "send", '{"to": "', *pieces, '"}')
    elif kind == "thought":
        blocks = _block(0, *({"reasoningContent": {"text": each}} for each in pieces))
        blocks += _block(1, {"text": "Done."})
    else:
        blocks = _block(0, *({"text": each} for each in pieces))
    reason = "tool_use" if kind == "arguments" else "end_turn"
    stop = frames.event("messageStop", {"stopReason": reason})
    return b"".join((_BEGIN, *blocks, stop))


def _of_exception(status: int) -> list[tuple[str, str]]:
    return [("x-amzn-errortype", _ERRORS.get(status, "InternalServerException"))]


SPOKEN = Spoken(
    side=bedrock.DIALECT,
    stream=[
        _BEGIN,
        *_thought(0, "hm", "sig"),
        *_block(1, {"text": "Grüße, "}, {"text": "世界"}),
        *_call(2, "a", "one", '{"x":1}'),
        *_call(3, "b", "two", '{"y":2}'),
        *_end("tool_use", 5, 7),
    ],
    last=2,
    more=frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "word"}}),
    told=_told,
    provider=Provider(
        config={"bedrockConfig": {"region": "r", "model": "m:0", "apiKey": KEY}},
        path="/model/m/converse",
        write=_write,
        plays=_plays,
        judge=converse.judged,
        error=lambda status: {"message": ERROR_WORDS},
        headers=converse.FRAMES[1:],
        error_headers=_of_exception,
        vendor="aws.bedrock",
        proof=SIGNATURE,
    ),
)
