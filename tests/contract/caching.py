"""A policy of a cache, and what clients read."""

from __future__ import annotations

import json
from typing import Any

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import (
    Answer,
    chat_completion,
    chat_stream,
    token_usage,
)
from tests.contract.conftest import World

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "What is a mesh?"}]}
STREAMED = ASKED | {"stream": True}
WHOLE = Answer(body=chat_completion("A net.", usage=token_usage(4, 6)))
EVENTS = chat_stream(["A ", "net", "."], usage=token_usage(4, 6), include_usage=True)

# It ends as an answer does, and says in a member of its own that it is none.
_REFUSAL = {"role": "assistant", "content": None, "refusal": "I cannot help."}
REFUSED = Answer(
    body={
        **chat_completion(""),
        "choices": [{"index": 0, "finish_reason": "stop", "message": _REFUSAL}],
    }
)


def policy(cache: dict[str, Any] | None = None, name: str = "team", **spec: Any) -> LLMPolicy:
    spec = {"cache": {"vary": [], **(cache or {})}, **spec}
    return LLMPolicy.model_validate({"metadata": {"name": name}, "spec": spec})


def content(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


def streamed(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def results(world: World, *bodies: dict[str, Any], **ask: Any) -> list[str]:
    return [world.ask(body, **ask).headers["x-llm-mesh-cache"] for body in bodies]
