"""OpenAI's SDK on providers of Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.translation.worlds import MESSAGES, World

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


def start(**usage: int) -> dict[str, Any]:
    begun = message(usage={"input_tokens": 6, "output_tokens": 1, **usage})
    return {"type": "message_start", "message": begun | {"stop_reason": None}}


def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begin},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def words(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def end(reason: str = "end_turn", **usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    counts = {"output_tokens": 7, **usage}
    return [{"type": "message_delta", "delta": delta, "usage": counts}, {"type": "message_stop"}]


def sent(messages: World, /, **request: Any) -> dict[str, Any]:
    messages.answers(message(text("x")))
    messages.openai.chat.completions.create(**(ASK | request))
    return messages.asked()


def chunks(messages: World, **request: Any) -> list[Any]:
    return list(messages.openai.chat.completions.create(**(ASK | request), stream=True))


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


# Answers.


def test_an_answer_has_text_reasoning_and_calls(messages: World) -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "blob"}
    messages.answers(
        message(
            thinking,
            redacted,
            text("a"),
            text("b"),
            use("t", "look", {"n": 1.0}),
            reason="tool_use",
        )
    )
    got = messages.openai.chat.completions.create(**ASK)
    said: Any = got.choices[0].message
    assert (said.content, said.reasoning_content) == ("ab", "hm")
    assert said.thinking_blocks == [thinking, redacted]
    assert said.tool_calls[0].function.arguments == '{"n":1.0}'
    assert got.choices[0].finish_reason == "tool_calls"
    usage: Any = got.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (12, 7, 19)
    assert usage.prompt_tokens_details.cached_tokens == 4
    assert usage.completion_tokens_details.reasoning_tokens == 3


def test_reasoning_comes_back_as_its_provider_signed_it(messages: World) -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "blob"}
    messages.answers(message(thinking, redacted, use("t", "look", {}), reason="tool_use"))
    said = messages.openai.chat.completions.create(**ASK).choices[0].message
    turns = [
        *ASK["messages"],
        said.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": "t", "content": "x"},
    ]
    body = sent(messages, messages=turns, tools=[TOOL], reasoning_effort="high")
    assert body["messages"][1]["content"] == [thinking, redacted, use("t", "look", {})]


REASONS = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_use", "tool_calls"),
    ("refusal", "content_filter"),
    ("pause_turn", "stop"),
    ("another", "stop"),
]


@pytest.mark.parametrize(("reason", "expected"), REASONS)
def test_every_reason_to_stop_has_its_word(messages: World, reason: str, expected: str) -> None:
    messages.answers(message(text("x"), reason=reason))
    got = messages.openai.chat.completions.create(**ASK)
    assert got.choices[0].finish_reason == expected
    messages.streams(start(), *block(0, text(""), *words("x")), *end(reason))
    assert chunks(messages)[-1].choices[0].finish_reason == expected


def test_a_stream_is_chunks(messages: World) -> None:
    messages.streams(
        start(cache_read_input_tokens=4),
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, text(""), *words("a", "b")),
        *block(
            2,
            use("t1", "one", {}),
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"x":'},
            {"type": "input_json_delta", "partial_json": "1}"},
        ),
        *block(3, use("t2", "two", {})),
        *end("tool_use"),
    )
    got = chunks(messages, stream_options={"include_usage": True})
    assert {c.id for c in got} == {"msg_1"}
    assert got[0].choices[0].delta.role == "assistant"
    deltas: list[Any] = [c.choices[0].delta for c in got[:-1]]
    assert "".join(d.content or "" for d in deltas) == "ab"
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "hm"
    blocks = [b for d in deltas for b in getattr(d, "thinking_blocks", None) or ()]
    assert blocks == [{"type": "thinking", "thinking": "hm", "signature": "sig"}]
    arguments = {0: "", 1: ""}
    for delta in deltas:
        for call in delta.tool_calls or ():
            arguments[call.index] += call.function.arguments
    assert arguments == {0: '{"x":1}', 1: "{}"}
    assert got[-2].choices[0].finish_reason == "tool_calls"
    assert got[-1].choices == []
    assert (got[-1].usage.prompt_tokens, got[-1].usage.completion_tokens) == (10, 7)


def test_counts_that_were_not_asked_for_are_not_sent(messages: World) -> None:
    messages.streams(start(), *block(0, text(""), *words("x")), *end())
    assert all(chunk.choices and chunk.usage is None for chunk in chunks(messages))


def test_a_stream_that_is_cut_off_is_an_error(messages: World) -> None:
    messages.streams(start(), *block(0, text(""), *words("x")))
    with pytest.raises(openai.APIError):
        chunks(messages)


def test_an_error_in_a_stream_is_an_error(messages: World) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    messages.streams(start(), *block(0, text(""), *words("x")), error)
    with pytest.raises(openai.APIError, match="busy"):
        chunks(messages)


def test_an_error_as_the_first_event_has_a_status(messages: World) -> None:
    messages.streams({"type": "error", "error": {"type": "rate_limit_error", "message": "busy"}})
    with pytest.raises(openai.RateLimitError, match="busy"):
        chunks(messages)


ERRORS: list[tuple[int, str, type[openai.APIStatusError], int, str, str | None]] = [
    (400, "invalid_request_error", openai.BadRequestError, 400, "invalid_request_error", None),
    (
        401,
        "authentication_error",
        openai.AuthenticationError,
        401,
        "authentication_error",
        "invalid_api_key",
    ),
    (402, "billing_error", openai.APIStatusError, 402, "insufficient_quota", "insufficient_quota"),
    (403, "permission_error", openai.PermissionDeniedError, 403, "permission_error", None),
    (404, "not_found_error", openai.NotFoundError, 404, "invalid_request_error", "model_not_found"),
    (
        413,
        "request_too_large",
        openai.APIStatusError,
        413,
        "invalid_request_error",
        "request_too_large",
    ),
    (
        429,
        "rate_limit_error",
        openai.RateLimitError,
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    (500, "api_error", openai.InternalServerError, 500, "server_error", None),
    (504, "timeout_error", openai.InternalServerError, 504, "timeout", None),
    (529, "overloaded_error", openai.InternalServerError, 503, "server_error", "overloaded"),
]


@pytest.mark.parametrize(("status", "word", "kind", "shown", "type", "code"), ERRORS)
def test_every_error_raises_its_class(
    messages: World,
    status: int,
    word: str,
    kind: type[openai.APIStatusError],
    shown: int,
    type: str,
    code: str | None,
) -> None:
    error = {"type": "error", "error": {"type": word, "message": "the words"}}
    messages.answers(error, status, [("retry-after", "7"), ("request-id", "r1")])
    with pytest.raises(kind) as caught:
        messages.openai.chat.completions.create(**ASK)
    got = caught.value
    assert (got.status_code, got.type, got.code) == (shown, type, code)
    assert got.body["message"] == "the words"  # type: ignore[index]
    assert (got.response.headers["retry-after"], got.request_id) == ("7", "r1")


def test_a_prompt_that_is_too_long_has_its_code(messages: World) -> None:
    error = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8"}
    messages.answers({"type": "error", "error": error}, 400)
    with pytest.raises(openai.BadRequestError) as caught:
        messages.openai.chat.completions.create(**ASK)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("body", [{}, {"x": 1}, {"type": "message"}])
def test_an_answer_in_another_form_is_the_providers_fault(
    messages: World, body: dict[str, Any]
) -> None:
    messages.answers(body)
    with pytest.raises(openai.InternalServerError) as caught:
        messages.openai.chat.completions.create(**ASK)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_protocol_error")


@pytest.mark.parametrize("stream", [True, False])
def test_the_configured_form_need_not_be_the_clients(
    world: Callable[..., World], stream: bool
) -> None:
    messages = world(MESSAGES, stream=stream)
    if stream:
        messages.streams(start(), *block(0, text(""), *words("x")), *end())
        got: Any = messages.openai.chat.completions.create(**ASK)
        assert got.choices[0].message.content == "x"
    else:
        messages.answers(message(text("x")))
        pieces = [c.choices[0].delta.content for c in chunks(messages)]
        assert "".join(piece or "" for piece in pieces) == "x"
    assert messages.upstream.requests[-1].json().get("stream", False) is stream
