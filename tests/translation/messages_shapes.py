"""Requests and answers of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

from tests.translation.worlds import World

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL: Any = {
    "type": "function",
    "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}},
}
USAGE = {
    "input_tokens": 6,
    "output_tokens": 7,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "output_tokens_details": {"thinking_tokens": 3},
}


def message(*blocks: Any, reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(blocks),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(id: str, name: str, input: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def words(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def sent(messages: World, /, **request: Any) -> dict[str, Any]:
    messages.answers(message(text("x")))
    messages.openai.chat.completions.create(**(ASK | request))
    return messages.asked()


def start(**usage: int) -> dict[str, Any]:
    begun = message(usage={"input_tokens": 6, "output_tokens": 1, **usage})
    return {"type": "message_start", "message": begun | {"stop_reason": None}}


def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begin},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str = "end_turn", **usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    counts = {"output_tokens": 7, **usage}
    return [{"type": "message_delta", "delta": delta, "usage": counts}, {"type": "message_stop"}]
