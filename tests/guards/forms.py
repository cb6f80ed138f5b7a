"""Streams of every dialect whose texts come in pieces, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._dialects.anthropic.dialect import DIALECT as ANTHROPIC
from llm_mesh_middleware._dialects.gemini.dialect import DIALECT as GEMINI
from llm_mesh_middleware._dialects.openai_chat.dialect import DIALECT as CHAT
from llm_mesh_middleware._dialects.openai_responses.dialect import DIALECT as RESPONSES

__all__ = ["ARGUMENTS", "FORMS", "cut", "event", "text_of"]

Pieces = Sequence[str]


def event(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(', ', ':  '))}\n\n".encode()


def chat(pieces: Pieces) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})

    texts = [chunk({"content": piece}) for piece in pieces]
    usage = event({"id": "c", "choices": [], "usage": {"total_tokens": 3}})
    start = chunk({"role": "assistant", "content": ""})
    return [start, b": wait\n\n", *texts, chunk({}, "stop"), usage, b"data: [DONE]\n\n"]


def chat_arguments(pieces: Pieces) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def call(function: dict[str, Any]) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": function}]}

    start = chunk(call({"name": "send", "arguments": ""}))
    texts = [chunk(call({"arguments": piece})) for piece in ('{"to": "', *pieces, '"}')]
    return [start, *texts, chunk({}, "tool_calls"), b"data: [DONE]\n\n"]


def anthropic(pieces: Pieces) -> list[bytes]:
    def named(data: dict[str, Any]) -> bytes:
        return event(data, data["type"])

    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    deltas = [
        named(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
        )
        for piece in pieces
    ]
    ends = [{"type": "content_block_stop", "index": 0}, {"type": "message_delta"}]
    return [named(block), *deltas, *map(named, ends), named({"type": "message_stop"})]


def responses(pieces: Pieces) -> list[bytes]:
    def named(kind: str, **members: Any) -> bytes:
        return event({"type": kind, "output_index": 0, "content_index": 0, **members}, kind)

    deltas = [named("response.output_text.delta", delta=piece) for piece in pieces]
    whole = "".join(pieces)
    item = {"type": "message", "content": [{"type": "output_text", "text": whole}]}
    return [
        *deltas,
        named("response.output_text.done", text=whole),
        named("response.output_item.done", item=item),
        named("response.completed", response={"output": [item]}),
    ]


def completions(pieces: Pieces) -> list[bytes]:
    def chunk(text: str, finish: str | None = None) -> bytes:
        tokens = {"tokens": [text], "token_logprobs": [-0.1]}
        choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": tokens}
        return event({"object": "text_completion", "choices": [choice]})

    return [*map(chunk, pieces), chunk("", "stop"), b"data: [DONE]\n\n"]


def reasoning(pieces: Pieces) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        tokens = [{"token": text, "bytes": list(text.encode())} for text in delta.values()]
        logprobs = {"content": tokens, "refusal": None}
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return event({"choices": [choice]})

    thoughts = [chunk({"reasoning_content": piece}) for piece in pieces]
    return [*thoughts, chunk({"content": "Done."}), chunk({}, "stop"), b"data: [DONE]\n\n"]


def anthropic_arguments(pieces: Pieces) -> list[bytes]:
    def named(data: dict[str, Any]) -> bytes:
        return event(data, data["type"])

    block = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    deltas = [
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }
        for piece in ('{"to": "', *pieces, '"}')
    ]
    start = {"type": "content_block_start", "index": 1, "content_block": block}
    ends = [{"type": "content_block_stop", "index": 1}, {"type": "message_stop"}]
    return [named(each) for each in (start, *deltas, *ends)]


def responses_arguments(pieces: Pieces) -> list[bytes]:
    def named(kind: str, **members: Any) -> bytes:
        return event({"type": kind, "output_index": 0, "item_id": "i", **members}, kind)

    texts = ['{"to": "', *pieces, '"}']
    deltas = [named("response.function_call_arguments.delta", delta=text) for text in texts]
    done = named("response.function_call_arguments.done", arguments="".join(texts))
    return [*deltas, done, named("response.completed", response={"output": []})]


def gemini(pieces: Pieces) -> list[bytes]:
    def chunk(text: str, **members: Any) -> bytes:
        content = {"role": "model", "parts": [{"text": text}]}
        return event({"candidates": [{"index": 0, "content": content, **members}]})

    return [*map(chunk, pieces), chunk(" ", finishReason="STOP")]


FORMS: dict[str, tuple[Dialect, Callable[[Pieces], list[bytes]]]] = {
    "chat": (CHAT, chat),
    "arguments": (CHAT, chat_arguments),
    "anthropic": (ANTHROPIC, anthropic),
    "responses": (RESPONSES, responses),
    "completions": (CHAT, completions),
    "reasoning": (CHAT, reasoning),
    "anthropic_arguments": (ANTHROPIC, anthropic_arguments),
    "responses_arguments": (RESPONSES, responses_arguments),
    "gemini": (GEMINI, gemini),
}
ARGUMENTS = frozenset(name for name in FORMS if name.endswith("arguments"))


def cut(text: str, random: Random) -> list[str]:
    cuts = sorted(random.sample(range(1, len(text)), random.randint(0, min(9, len(text) - 1))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def text_of(data: bytes) -> str:
    """Return the parts of texts in a stream, and the complete texts behind them, in order."""
    found: list[str] = []
    for each in data.split(b"\n\n"):
        _, _, body = each.partition(b"data: ")
        if body.startswith(b"{"):
            found += _texts_of(json.loads(body))
    return "".join(found)


def _texts_of(value: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for choice in value.get("choices", ()):
        delta = choice.get("delta", {"content": choice.get("text")})
        found += [delta.get("reasoning_content") or "", delta.get("content") or ""]
        found += [call["function"]["arguments"] for call in delta.get("tool_calls", ())]
    for candidate in value.get("candidates", ()):
        found += [part["text"] for part in candidate["content"]["parts"]]
    delta = value.get("delta")
    if isinstance(delta, dict):
        delta = delta.get("text", "") + delta.get("partial_json", "")
    found += [delta or "", value.get("text", ""), value.get("arguments", "")]
    item = value.get("item") or {"content": []}
    return [*found, *(part["text"] for part in item["content"])]
