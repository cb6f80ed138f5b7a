"""Answers of Anthropic's Messages API, as OpenAI's SDK reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.translation.messages_shapes import (
    ASK,
    TOOL,
    block,
    end,
    message,
    sent,
    start,
    text,
    use,
    words,
)
from tests.translation.worlds import MESSAGES, World


def chunks(messages: World, **request: Any) -> list[Any]:
    return list(messages.openai.chat.completions.create(**(ASK | request), stream=True))


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


def test_the_stream_helper_of_the_sdk_joins_several_thoughts_and_sources(messages: World) -> None:
    def thinks(index: int, words: str) -> list[Any]:
        return block(
            index,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": words},
            {"type": "signature_delta", "signature": "sig"},
        )

    def cites(url: str) -> Any:
        more = {"title": "t", "cited_text": "c", "encrypted_index": "e"}
        cited = {"type": "web_search_result_location", "url": url, **more}
        return {"type": "citations_delta", "citation": cited}

    urls = ["https://one.example/", "https://two.example/"]
    said = block(1, text(""), *words("a"), *map(cites, urls))
    messages.streams(start(), *thinks(0, "h"), *said, *thinks(2, "m"), *end())
    with messages.openai.chat.completions.stream(**ASK) as stream:
        got: Any = stream.get_final_completion().choices[0].message
    assert [one["thinking"] for one in got.thinking_blocks] == ["h", "m"]
    assert [one.url_citation.url for one in got.annotations] == urls


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
