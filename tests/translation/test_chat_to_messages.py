"""Requests of OpenAI's SDK to providers of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.translation.messages_shapes import ASK, TOOL, message, sent, text, use
from tests.translation.worlds import World

USER = {"role": "user", "content": [{"type": "text", "text": "hi"}]}


REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"max_tokens": 4096, "messages": [USER]}),
    ({"max_tokens": 9}, {"max_tokens": 9}),
    ({"max_completion_tokens": 9}, {"max_tokens": 9}),
    ({"temperature": 1}, {"temperature": 1}),
    ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3, "top_p": 0.9}),
    ({"stop": "a"}, {"stop_sequences": ["a"]}),
    ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    ({"user": "u"}, {"metadata": {"user_id": "u"}}),
    ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    (
        {"reasoning_effort": "high"},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
    ),
    (
        {"tools": [TOOL], "tool_choice": "required"},
        {
            "tools": [{"name": "look", "description": "Look.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any"},
        },
    ),
    ({"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tool_choice": {"type": "tool", "name": "look"}},
    ),
    (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "look"}}]},
        {"tools": [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    (
        {
            "messages": [
                {"role": "system", "content": "a"},
                {"role": "developer", "content": "b"},
                {"role": "user", "content": "hi"},
            ]
        },
        {"system": [text("a"), text("b")], "messages": [USER]},
    ),
    (
        {"messages": [{"role": "system", "content": "a"}]},
        {"messages": [{"role": "user", "content": [text("a")]}]},
    ),
    (
        {"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "hi"}]},
        {
            "messages": [
                {"role": "user", "content": [text("(The conversation begins.)")]},
                {"role": "assistant", "content": [text("a")]},
                USER,
            ]
        },
    ),
    (
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "later"},
                {"role": "user", "content": "  "},
                {"role": "assistant", "content": "so  "},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [text("hi"), text("later")]},
                {"role": "assistant", "content": [text("so")]},
            ]
        },
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(
    messages: World, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(messages, **asked)
    assert {name: body.get(name) for name in expected} == expected


def test_the_call_has_the_version_and_no_field_of_another_vendor(messages: World) -> None:
    messages.answers(message(text("x")))
    headers = {"openai-organization": "o", "openai-beta": "b"}
    messages.openai.chat.completions.create(**ASK, extra_headers=headers)
    request = messages.upstream.requests[-1]
    assert request.header("anthropic-version") == "2023-06-01"
    assert (request.header("openai-beta"), request.header("authorization")) == (None, None)
    assert request.header("x-api-key")


def test_results_are_one_turn_before_the_users_words(messages: World) -> None:
    def call(id: str, arguments: str) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}}

    turns = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("a", '{"x":1.0}'), call("odd id!", "")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "odd id!", "content": [text("gone")]},
        {"role": "user", "content": "and?"},
    ]
    _, calls, results = sent(messages, messages=turns, tools=[TOOL])["messages"]
    first, second = calls["content"]
    assert (first, second["input"]) == (use("a", "look", {"x": 1.0}), {})
    assert b'{"x":1.0}' in messages.upstream.requests[-1].body
    assert results["role"] == "user"
    assert [b["type"] for b in results["content"]] == ["tool_result", "tool_result", "text"]
    assert results["content"][0] == {"type": "tool_result", "tool_use_id": "a", "content": "seen"}
    assert results["content"][1]["tool_use_id"] == second["id"] != "odd id!"


def test_a_history_with_calls_has_tools(messages: World) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]
    body = sent(messages, messages=turns)
    assert [tool["name"] for tool in body["tools"]] == ["look"]
    assert body["tool_choice"] == {"type": "none"}


def test_images_and_files_are_blocks(messages: World) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/i.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JV", "filename": "f"}},
    ]
    turns = [{"role": "user", "content": parts}]
    assert sent(messages, messages=turns)["messages"][0]["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"},
            "title": "f",
        },
    ]


DROPPED: list[tuple[dict[str, Any], str]] = [
    ({"seed": 1}, "seed"),
    ({"frequency_penalty": 0.5, "presence_penalty": 1}, "frequency_penalty, presence_penalty"),
    ({"logit_bias": {"1": 1}}, "logit_bias"),
    ({"verbosity": "low"}, "verbosity"),
    ({"temperature": 1.5}, "temperature"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"stop": ["a", " "]}, "stop"),
    ({"extra_body": {"repetition_penalty": 1.1}}, "repetition_penalty"),
    ({"reasoning_effort": "low", "temperature": 0.5}, "temperature"),
    (
        {"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"},
        "reasoning_effort",
    ),
]


@pytest.mark.parametrize(("asked", "named"), DROPPED)
def test_what_is_dropped_is_named(messages: World, asked: dict[str, Any], named: str) -> None:
    messages.answers(message(text("x")))
    raw = messages.openai.chat.completions.with_raw_response.create(**ASK, **asked)
    assert raw.headers["x-llm-mesh-dropped"] == named
    messages.asked()


QUIET: list[dict[str, Any]] = [
    {"store": True},
    {"metadata": {"a": "b"}},
    {"prompt_cache_key": "k"},
    {"n": 1},
    {"logprobs": False},
    {"stream_options": {"include_usage": True}, "stream": False},
]


@pytest.mark.parametrize("asked", QUIET)
def test_what_nobody_could_see_goes_without_a_word(messages: World, asked: dict[str, Any]) -> None:
    messages.answers(message(text("x")))
    raw = messages.openai.chat.completions.with_raw_response.create(**ASK, **asked)
    assert "x-llm-mesh-dropped" not in raw.headers
    messages.asked()


AUDIO = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "v", "format": "wav"}}, "audio"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"messages": [{"role": "user", "content": [AUDIO]}]}, "input_audio"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}
            ]
        },
        "file_id",
    ),
]


@pytest.mark.parametrize(("asked", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(
    messages: World, asked: dict[str, Any], named: str
) -> None:
    before = len(messages.upstream.requests)
    with pytest.raises(openai.BadRequestError) as caught:
        messages.openai.chat.completions.create(**(ASK | asked))
    assert (caught.value.code, caught.value.param) == ("unsupported_field", named)
    assert len(messages.upstream.requests) == before


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"messages": "x"}, "messages"),
    ({"messages": [{"role": "bird", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"tools": [{"type": "x"}]}, "tools[0]"),
    ({"tool_choice": "perhaps"}, "tool_choice"),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "["}}
                    ],
                }
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
]


@pytest.mark.parametrize(("asked", "named"), MALFORMED)
def test_what_is_malformed_is_refused_by_name(
    messages: World, asked: dict[str, Any], named: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        messages.openai.chat.completions.create(**(ASK | asked))
    assert caught.value.param == named
