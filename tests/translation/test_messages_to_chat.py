"""Requests of Anthropic's SDK to providers of chat completions."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from llm_mesh_middleware.testing import chat_completion
from tests.translation.chat_shapes import ASK, call
from tests.translation.worlds import World

TOOL: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}


PNG: Any = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def sent(chat: World, **request: Any) -> dict[str, Any]:
    chat.answers(chat_completion())
    chat.anthropic.messages.create(**(ASK | request))
    return chat.asked()


REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}),
    ({"extra_body": {"temperature": 1}}, {"temperature": 1}),
    (
        {"extra_body": {"temperature": 0.5, "top_p": 0.9}},
        {"temperature": 0.5, "top_p": 0.9},
    ),
    ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
    ({"metadata": {"user_id": "u"}}, {"user": "u"}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 7000}}, {"reasoning_effort": "medium"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 20000}}, {"reasoning_effort": "high"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 30000}}, {"reasoning_effort": "xhigh"}),
    ({"output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "output", "schema": {"type": "object"}},
            }
        },
    ),
    (
        {"system": "be brief"},
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi"},
            ]
        },
    ),
    (
        {"tools": [TOOL]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look",
                        "description": "Look.",
                        "parameters": {"type": "object"},
                    },
                }
            ]
        },
    ),
    ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
    ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}},
        {"tool_choice": {"type": "function", "function": {"name": "look"}}},
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tool_choice": "auto", "parallel_tool_calls": False},
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(
    chat: World, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(chat, **asked)
    assert {name: body.get(name) for name in expected} == expected


def test_system_blocks_are_one_message(chat: World) -> None:
    marked = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}
    body = sent(chat, system=[{"type": "text", "text": "a"}, marked])
    assert body["messages"][0] == {"role": "system", "content": "a\n\nb"}


def test_disabled_thinking_asks_for_nothing(chat: World) -> None:
    assert "reasoning_effort" not in sent(chat, thinking={"type": "disabled"})


def test_results_precede_what_the_user_says_and_their_images_follow(chat: World) -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "seen"}, {"type": "image", "source": PNG}],
    }
    failed = {"type": "tool_result", "tool_use_id": "t2", "content": "gone", "is_error": True}
    turns = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"x": 1.0}},
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
            ],
        },
        {"role": "user", "content": [result, failed, {"type": "text", "text": "and?"}]},
    ]
    assert sent(chat, messages=turns, tools=[TOOL])["messages"][1:] == [
        {
            "role": "assistant",
            "content": "ab",
            "tool_calls": [call("t1", "look", '{"x":1.0}'), call("t2", "look", "{}")],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        {"role": "tool", "tool_call_id": "t2", "content": "[tool error] gone"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_documents_are_files_or_text(chat: World) -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    plain = {"type": "text", "media_type": "text/plain", "data": "words"}
    blocks = [
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": plain, "title": "b"},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}},
    ]
    content = sent(chat, messages=[{"role": "user", "content": blocks}])["messages"][0]["content"]
    assert content == [
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        },
        {"type": "text", "text": '<document title="b">\nwords\n</document>'},
        {"type": "image_url", "image_url": {"url": "https://x.example/i.png"}},
    ]


def test_what_is_dropped_is_named(chat: World) -> None:
    chat.answers(chat_completion())
    raw = chat.anthropic.messages.with_raw_response.create(
        **ASK,
        extra_body={"top_k": 5, "inference_geo": "eu", "cache_control": {"type": "ephemeral"}},
    )
    assert raw.headers["x-llm-mesh-dropped"] == "top_k, inference_geo"
    assert "top_k" not in chat.asked()


@pytest.mark.parametrize(
    ("edit", "named"), [("clear_thinking_1", None), ("clear_tool_uses_1", True)]
)
def test_an_edit_of_the_context_is_named_if_its_lack_is_felt(
    chat: World, edit: str, named: bool | None
) -> None:
    chat.answers(chat_completion())
    got = chat.post("/v1/messages", ASK | {"context_management": {"edits": [{"type": edit}]}})
    assert got.headers.get("x-llm-mesh-dropped") == (named and "context_management")


def test_nothing_is_said_of_a_request_without_losses(chat: World) -> None:
    chat.answers(chat_completion())
    raw = chat.anthropic.messages.with_raw_response.create(**ASK)
    assert "x-llm-mesh-dropped" not in raw.headers


REFUSED = [
    ({"extra_body": {"container": "c"}}, "container"),
    ({"extra_body": {"mcp_servers": [{"name": "x"}]}}, "mcp_servers"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                }
            ]
        },
        "file_id",
    ),
]


@pytest.mark.parametrize(("asked", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(
    chat: World, asked: dict[str, Any], named: str
) -> None:
    before = len(chat.upstream.requests)
    with pytest.raises(anthropic.BadRequestError) as caught:
        chat.anthropic.messages.create(**(ASK | asked))
    assert caught.value.type == "invalid_request_error"
    assert caught.value.body["error"]["message"].startswith(named)  # type: ignore[index]
    assert len(chat.upstream.requests) == before


def test_a_tool_of_the_provider_goes_if_others_are_left(chat: World) -> None:
    chat.answers(chat_completion())
    raw = chat.anthropic.messages.with_raw_response.create(
        **ASK, tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}]
    )
    assert raw.headers["x-llm-mesh-dropped"] == "tools.web_search"
    assert len(chat.asked()["tools"]) == 1


def test_reasoning_of_earlier_turns_is_not_sent(chat: World) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "a"},
            ],
        },
        {"role": "user", "content": "so?"},
    ]
    assert sent(chat, messages=turns)["messages"][1] == {"role": "assistant", "content": "a"}
