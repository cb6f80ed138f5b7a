"""Counting tokens, by a provider that can and for one that cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.translation.worlds import CHAT, MESSAGES, World

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
IMAGE: Any = {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}}


def test_a_provider_of_messages_counts_itself(world: Callable[..., World]) -> None:
    messages = world(MESSAGES, model="claude", defaults={"temperature": 1})
    messages.answers({"input_tokens": 42})
    raw = messages.anthropic.messages.with_raw_response.count_tokens(**ASK)
    assert raw.parse().input_tokens == 42
    assert "x-llm-mesh-estimated" not in raw.headers
    request = messages.upstream.requests[-1]
    assert request.path == "/v1/messages/count_tokens"
    assert request.json() == {"messages": ASK["messages"], "model": "claude"}


LONGER: list[tuple[dict[str, Any], int]] = [
    ({}, 1),
    ({"messages": [{"role": "user", "content": "x" * 3600}]}, 1000),
    ({"messages": [{"role": "user", "content": "世" * 1200}]}, 1000),
    ({"system": "x" * 3600}, 1000),
    ({"tools": [{"name": "t", "description": "x" * 3600, "input_schema": {}}]}, 1000),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, 1100),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE, IMAGE]}
                    ],
                }
            ]
        },
        2200,
    ),
]


@pytest.mark.parametrize(("asked", "least"), LONGER)
def test_an_estimate_counts_everything_and_says_what_it_is(
    chat: World, asked: dict[str, Any], least: int
) -> None:
    before = len(chat.upstream.requests)
    raw = chat.anthropic.messages.with_raw_response.count_tokens(**(ASK | asked))
    assert raw.headers["x-llm-mesh-estimated"] == "input_tokens"
    assert least <= raw.parse().input_tokens <= 1.1 * least + 50
    assert len(chat.upstream.requests) == before


def test_claude_codes_path_has_a_query(world: Callable[..., World]) -> None:
    got = world(CHAT).post("/v1/messages/count_tokens?beta=true", ASK)
    assert (got.status_code, got.json()["input_tokens"] > 0) == (200, True)
