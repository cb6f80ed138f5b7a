"""Every dialect, with one request and one stream of it: a new dialect is a row here.

Each stream has reasoning, a text that is not ASCII, and two calls; those of chat interleave.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.dialect import WholeAnswer
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects import (
    anthropic,
    bedrock,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
)
from llm_mesh_middleware._dialects.translation.relay import TranslatingRelay
from tests.clouds import converse, frames
from tests.translation.chat_shapes import DONE, USAGE, chunk
from tests.translation.messages_shapes import block, end, start, text, use, words
from tests.translation.test_others_to_responses import text_events
from tests.translation.worlds import events

__all__ = ["CLIENTS", "DIALECTS", "PAIRS", "Spoken", "relay"]


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A dialect as both sides speak it.

    `ask` is a client's request for a stream, None where no client speaks the dialect; `query` is
    that of its path. `last` is how many of the last events only count or mark the end, but for one.
    `end` is what a client's stream ends with if it is complete. Of a dialect that no client speaks,
    `whole` is an answer in one piece, and `more` an event with nothing but a word.
    """

    side: Any
    stream: list[bytes]
    last: int
    ask: str | None = None
    operation: Any = None
    query: str = ""
    end: bytes = b""
    whole: bytes = b""
    more: bytes = b""

    @property
    def request(self) -> ClientRequest:
        fields = decode_fields((self.ask or "{}").encode())
        return ClientRequest(
            "POST", "/", Headers(()), fields=fields, operation=self.operation, query=self.query
        )


def piece(index: int, arguments: str, **more: Any) -> Any:
    function: dict[str, Any] = {"arguments": arguments, **more.pop("function", {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **more}]})


def content(*parts: Any, **more: Any) -> bytes:
    finish = {"finishReason": more.pop("finish")} if "finish" in more else {}
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **finish}
    event = {"candidates": [candidate], "modelVersion": "g", "responseId": "r", **more}
    return b"data: %s\r\n\r\n" % json.dumps(event).encode()


def bedrock_block(index: int, *deltas: Any, **start: Any) -> list[bytes]:
    at = {"contentBlockIndex": index}
    begin = [frames.event("contentBlockStart", at | {"start": start})] if start else []
    said = [frames.event("contentBlockDelta", at | {"delta": delta}) for delta in deltas]
    return [*begin, *said, frames.event("contentBlockStop", at)]


CHAT = [
    b": a comment\n\n",
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "Grüße, 世界"}),
    piece(0, "", id="a", function={"name": "one"}),
    piece(1, '{"y":', id="b", function={"name": "two"}),
    piece(0, '{"x":1}'),
    piece(1, "2}"),
    chunk({}, "tool_calls"),
    chunk(usage=USAGE),
    DONE,
]
MESSAGES = [
    start(cache_read_input_tokens=4),
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig"},
    ),
    *block(1, text(""), *words("Grüße, ", "世界")),
    *block(2, use("a", "one", {}), {"type": "input_json_delta", "partial_json": '{"x":1}'}),
    *block(3, use("b", "two", {}), {"type": "input_json_delta", "partial_json": '{"y":2}'}),
    *end("tool_use"),
]
GEMINI = [
    content({"text": "hm", "thought": True}),
    content({"text": "Grüße, 世界", "thoughtSignature": "c2ln"}),
    content({"functionCall": {"name": "one", "args": {"x": 1}}, "thoughtSignature": "c2lnMg=="}),
    content({"functionCall": {"name": "two", "args": {"y": 2}}}),
    content(
        {"text": ""},
        finish="STOP",
        usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
    ),
]
BEDROCK = [
    frames.event("messageStart", {"role": "assistant"}),
    *bedrock_block(
        0, {"reasoningContent": {"text": "hm"}}, {"reasoningContent": {"signature": "sig"}}
    ),
    *bedrock_block(1, {"text": "Grüße, "}, {"text": "世界"}),
    *bedrock_block(2, {"toolUse": {"input": '{"x":1}'}}, toolUse={"toolUseId": "a", "name": "one"}),
    *bedrock_block(3, {"toolUse": {"input": '{"y":2}'}}, toolUse={"toolUseId": "b", "name": "two"}),
    frames.event("messageStop", {"stopReason": "tool_use"}),
    frames.event(
        "metadata",
        {"usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, "metrics": {}},
    ),
]


def line(message: Any, **more: Any) -> bytes:
    said = {"role": "assistant", "content": "", **message}
    answer = {"model": "o", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}
    return json.dumps(answer | more).encode() + b"\n"


def ollama_call(name: str, arguments: Any, **more: Any) -> Any:
    return {"function": {"name": name, "arguments": arguments}, **more}


COUNTED = {"prompt_eval_count": 5, "eval_count": 7}
OLLAMA = [
    line({"thinking": "hm"}),
    line({"content": "Grüße, "}),
    line({"content": "世界"}),
    line({"tool_calls": [ollama_call("one", {"x": 1}, id="a")]}),
    line({"tool_calls": [ollama_call("two", {"y": 2}, id="b")]}),
    line({}, done=True, done_reason="stop", **COUNTED),
]

WORDS = "The answer to life, the universe and everything. "
LOOK = {"city": "Basel", "days": 3}
CONVERSED = converse.answer(
    {"text": WORDS * 3},
    {"toolUse": {"toolUseId": "call_1", "name": "look", "input": LOOK}},
    stop="tool_use",
)

DIALECTS: dict[str, Spoken] = {
    "chat": Spoken(
        side=openai_chat.DIALECT,
        ask='{"messages": [], "stream": true, "stream_options": {"include_usage": true}}',
        stream=events(*CHAT),
        last=3,
        end=b"[DONE]",
    ),
    "responses": Spoken(
        side=openai_responses.DIALECT,
        ask='{"input": "hi", "stream": true, "store": false}',
        stream=events(*text_events()),
        last=1,
        end=b"response.completed",
    ),
    "messages": Spoken(
        side=anthropic.DIALECT,
        ask='{"messages": [], "stream": true, "max_tokens": 9}',
        stream=events(*MESSAGES),
        last=2,
        end=b"message_stop",
    ),
    "gemini": Spoken(
        side=gemini.DIALECT,
        ask='{"contents": []}',
        operation=gemini.STREAM,
        query="alt=sse",
        stream=GEMINI,
        last=1,
        end=b"finishReason",
    ),
    "bedrock": Spoken(
        side=bedrock.DIALECT,
        stream=BEDROCK,
        last=2,
        whole=json.dumps(CONVERSED.body).encode(),
        more=frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "word"}}),
    ),
    "ollama": Spoken(
        side=ollama.DIALECT,
        stream=OLLAMA,
        last=1,
        whole=line(
            {"content": WORDS * 3, "tool_calls": [ollama_call("look", LOOK)]}, done=True, **COUNTED
        ),
        more=line({"content": "word"}),
    ),
}
CLIENTS = [name for name, spoken in DIALECTS.items() if spoken.ask is not None]
PAIRS = [(client, provider) for client in CLIENTS for provider in DIALECTS if client != provider]


def relay(client: str, provider: str) -> TranslatingRelay:
    """A relay for one stream of `provider` to a client that has asked as the table says."""
    speaks, spoken = DIALECTS[client], DIALECTS[provider]
    stamp = Stamp(1, "token", "m")
    return TranslatingRelay(
        "provider.example",
        spoken.side.event_reader(stamp),
        speaks.side.event_writer(speaks.side.read_request(speaks.request), stamp),
        refuse=lambda fault: WholeAnswer(fault.status, [], fault.message.encode()),
    )
