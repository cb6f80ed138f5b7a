"""Requests and answers of chat completions."""

from __future__ import annotations

from typing import Any

from llm_mesh_middleware.testing import chat_completion

ASK: Any = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def completion(message: dict[str, Any], reason: str, **more: Any) -> dict[str, Any]:
    body = dict(chat_completion())
    body["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
    return body | more


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> Any:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    return head | {"choices": choices} | more


DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
