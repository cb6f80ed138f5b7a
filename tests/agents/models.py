"""Providers of every dialect that agents run on, each with a model that plays a fixed part.

It thinks, says something and makes calls, all in one stream; or it says something and ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llm_mesh_middleware.testing import RecordedRequest, Stream
from tests.canaries import canary
from tests.clouds import converse, frames, test_gemini, test_ollama
from tests.translation.chat_shapes import DONE, chunk
from tests.translation.dialect_table import (
    COUNTED,
    bedrock_block,
    content,
    line,
    ollama_call,
    piece,
)
from tests.translation.judging import check_sent
from tests.translation.messages_shapes import block, end, start, text, use, words
from tests.translation.worlds import events

__all__ = ["MODELS", "Call", "Model"]

KEY = canary("agents")
Call = tuple[str, str, dict[str, Any]]
SIGNATURE = "c2lnbmVk"


@dataclass(frozen=True)
class Model:
    """A provider: its configuration, what it streams, and who judges what it is sent.

    `proof` is what its own thoughts or calls are signed with, and so must come back to it. `counts`
    says that its API counts tokens before a call.
    """

    config: dict[str, Any]
    plays: Callable[[str, str, Sequence[Call]], Stream]
    judge: Callable[[RecordedRequest], Any]
    proof: str = ""
    counts: bool = True


def _judge(request: RecordedRequest) -> Any:
    body = request.json()
    check_sent(request.path, body)
    return body


def _chat(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    begun = [piece(i, "", id=id, function={"name": name}) for i, (id, name, _) in enumerate(calls)]
    said_calls = [piece(i, json.dumps(args)) for i, (_, _, args) in enumerate(calls)]
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
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


def _messages(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    blocks = [
        *block(
            0,
            thinking,
            {"type": "thinking_delta", "thinking": thought},
            {"type": "signature_delta", "signature": SIGNATURE},
        ),
        *block(1, text(""), *words(said)),
    ]
    for number, (id, name, args) in enumerate(calls, 2):
        piece_ = {"type": "input_json_delta", "partial_json": json.dumps(args)}
        blocks += block(number, use(id, name, {}), piece_)
    return Stream(events(start(), *blocks, *end("tool_use" if calls else "end_turn")))


def _gemini(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    made = [{"functionCall": {"name": name, "args": args}} for _, name, args in calls]
    signed = [
        one | ({"thoughtSignature": SIGNATURE} if i == 0 else {}) for i, one in enumerate(made)
    ]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
    return Stream(
        [
            content({"text": thought, "thought": True}),
            content({"text": said}),
            *map(content, signed),
            content({"text": ""}, finish="STOP", usageMetadata=usage),
        ]
    )


def _bedrock(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    blocks = [
        *bedrock_block(
            0,
            {"reasoningContent": {"text": thought}},
            {"reasoningContent": {"signature": SIGNATURE}},
        ),
        *bedrock_block(1, {"text": said}),
    ]
    for number, (id, name, args) in enumerate(calls, 2):
        delta = {"toolUse": {"input": json.dumps(args)}}
        blocks += bedrock_block(number, delta, toolUse={"toolUseId": id, "name": name})
    usage = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}
    return converse.stream(
        frames.event("messageStart", {"role": "assistant"}),
        *blocks,
        frames.event("messageStop", {"stopReason": "tool_use" if calls else "end_turn"}),
        frames.event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    )


def _ollama(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    made = [ollama_call(name, args, id=id) for id, name, args in calls]
    lines = [
        line({"thinking": thought}),
        line({"content": said}),
        *[line({"tool_calls": [call]}) for call in made],
        line({}, done=True, done_reason="stop", **COUNTED),
    ]
    return test_ollama.stream(*lines)


MODELS: dict[str, Model] = {
    "chat": Model(
        {"openAIConfig": {"apiKey": KEY, "model": "qwen", "apis": ["chat"]}},
        _chat,
        _judge,
        counts=False,
    ),
    "anthropic": Model(
        {"anthropicConfig": {"apiKey": KEY, "model": "claude"}}, _messages, _judge, SIGNATURE
    ),
    "gemini": Model(
        {"geminiConfig": {"apiKey": KEY, "model": "gemini-x"}},
        _gemini,
        test_gemini.judged,
        SIGNATURE,
    ),
    "bedrock": Model(
        {"bedrockConfig": {"region": "r", "model": "m:0", "apiKey": KEY}},
        _bedrock,
        converse.judged,
        SIGNATURE,
    ),
    "ollama": Model(
        {"ollamaConfig": {"model": "qwen3"}}, _ollama, test_ollama.judged, counts=False
    ),
}
