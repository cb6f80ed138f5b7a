"""Answers of chat completions, as Anthropic's SDK reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import pytest

from tests.translation.chat_shapes import ASK, DONE, USAGE, call, chunk, completion
from tests.translation.worlds import CHAT, World


def streamed(chat: World) -> anthropic.types.Message:
    """Return what the SDK makes of a stream."""
    with chat.anthropic.messages.stream(**ASK) as stream:
        return stream.get_final_message()


def test_an_answer_has_text_reasoning_and_calls_in_order(chat: World) -> None:
    message = {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "hm",
        "tool_calls": [call("call_1", "look", '{"n": 1.0}'), call("call_2", "look", "")],
    }
    chat.answers(completion(message, "tool_calls", usage=USAGE))
    got = chat.anthropic.messages.create(**ASK)
    assert [block.type for block in got.content] == ["thinking", "text", "tool_use", "tool_use"]
    thinking, text, first, second = got.content
    assert (thinking.thinking, text.text) == ("hm", "I look.")  # type: ignore[union-attr]
    assert thinking.signature.startswith("llm-mesh.")  # type: ignore[union-attr]
    assert (first.id, first.input, second.input) == ("call_1", {"n": 1.0}, {})  # type: ignore[union-attr]
    assert got.stop_reason == "tool_use"
    usage = got.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (6, 4, 7)


REASONS = [
    ("stop", "end_turn"),
    ("length", "max_tokens"),
    ("tool_calls", "tool_use"),
    ("function_call", "tool_use"),
    ("content_filter", "refusal"),
    ("eos", "end_turn"),
]


@pytest.mark.parametrize(("reason", "expected"), REASONS)
def test_every_reason_to_stop_has_its_word(chat: World, reason: str, expected: str) -> None:
    chat.answers(completion({"role": "assistant", "content": "x"}, reason))
    assert chat.anthropic.messages.create(**ASK).stop_reason == expected
    chat.streams(chunk({"content": "x"}), chunk({}, reason), DONE)
    with chat.anthropic.messages.stream(**ASK) as stream:
        assert stream.get_final_message().stop_reason == expected


def test_a_call_is_the_reason_to_stop_whatever_the_provider_says(chat: World) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [call("c", "look", "{}")]}
    chat.answers(completion(message, "stop"))
    assert chat.anthropic.messages.create(**ASK).stop_reason == "tool_use"


def test_a_refusal_is_text(chat: World) -> None:
    chat.answers(completion({"role": "assistant", "content": None, "refusal": "no"}, "stop"))
    assert chat.anthropic.messages.create(**ASK).content[0].text == "no"  # type: ignore[union-attr]


def test_arguments_that_are_no_object_are_the_providers_fault(chat: World) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [call("c", "look", '{"a":')]}
    chat.answers(completion(message, "tool_calls"))
    with pytest.raises(anthropic.InternalServerError) as caught:
        chat.anthropic.messages.create(**ASK)
    assert caught.value.status_code == 502
    chat.answers(completion(message, "length"))
    assert chat.anthropic.messages.create(**ASK).content[0].input == {}  # type: ignore[union-attr]


def test_interleaved_calls_are_one_block_after_another(chat: World) -> None:
    def piece(index: int, text: str, **more: Any) -> Any:
        function = {"arguments": text} | ({"name": more.pop("name")} if "name" in more else {})
        return chunk({"tool_calls": [{"index": index, "function": function, **more}]})

    chat.streams(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Lo"}),
        chunk({"content": "ok"}),
        piece(0, "", id="a", type="function", name="one"),
        piece(1, "", id="b", type="function", name="two"),
        piece(0, '{"x":'),
        piece(1, '{"y":'),
        piece(0, "1}"),
        piece(1, "2}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    )
    with chat.anthropic.messages.stream(**ASK) as stream:
        names = [event.type for event in stream]
        got = stream.get_final_message()
    assert [b.type for b in got.content] == ["text", "tool_use", "tool_use"]
    assert [b.input for b in got.content[1:]] == [{"x": 1}, {"y": 2}]  # type: ignore[union-attr]
    assert got.usage.output_tokens == 7
    assert names.count("message_stop") == 1


def test_reasoning_is_streamed_as_thinking(chat: World) -> None:
    chat.streams(
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "x"}),
        chunk({}, "stop"),
        DONE,
    )
    with chat.anthropic.messages.stream(**ASK) as stream:
        got = stream.get_final_message()
    assert [block.type for block in got.content] == ["thinking", "text"]
    assert got.content[0].thinking == "hm"  # type: ignore[union-attr]
    assert got.content[0].signature  # type: ignore[union-attr]


def test_a_stream_that_is_cut_off_is_an_error(chat: World) -> None:
    chat.streams(chunk({"content": "x"}))
    with pytest.raises(anthropic.APIStatusError) as caught:
        streamed(chat)
    assert caught.value.type == "api_error"


def test_an_error_in_a_stream_is_an_error_event(chat: World) -> None:
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}
    chat.streams(chunk({"content": "x"}), error)
    with pytest.raises(anthropic.APIStatusError) as caught:
        streamed(chat)
    assert (caught.value.type, "slow down" in str(caught.value)) == ("rate_limit_error", True)


def test_an_error_as_the_first_event_has_a_status(chat: World) -> None:
    chat.streams({"error": {"message": "busy", "type": "overloaded", "code": "overloaded"}})
    with pytest.raises(anthropic.APIStatusError) as caught:
        streamed(chat)
    assert (caught.value.status_code, caught.value.type) == (529, "overloaded_error")


ERRORS: list[tuple[int, type[anthropic.APIStatusError], int, str]] = [
    (400, anthropic.BadRequestError, 400, "invalid_request_error"),
    (401, anthropic.AuthenticationError, 401, "authentication_error"),
    (402, anthropic.APIStatusError, 402, "billing_error"),
    (403, anthropic.PermissionDeniedError, 403, "permission_error"),
    (404, anthropic.NotFoundError, 404, "not_found_error"),
    (409, anthropic.ConflictError, 409, "invalid_request_error"),
    (413, anthropic.APIStatusError, 413, "request_too_large"),
    (422, anthropic.UnprocessableEntityError, 422, "invalid_request_error"),
    (429, anthropic.RateLimitError, 429, "rate_limit_error"),
    (500, anthropic.InternalServerError, 500, "api_error"),
    (503, anthropic.InternalServerError, 529, "overloaded_error"),
    (504, anthropic.InternalServerError, 504, "timeout_error"),
]


@pytest.mark.parametrize(("status", "kind", "shown", "type"), ERRORS)
def test_every_error_raises_its_class(
    chat: World, status: int, kind: type[anthropic.APIStatusError], shown: int, type: str
) -> None:
    error = {"error": {"message": "the words", "type": "t", "param": None, "code": None}}
    chat.answers(error, status, [("retry-after", "7"), ("x-request-id", "r1")])
    with pytest.raises(kind) as caught:
        chat.anthropic.messages.create(**ASK)
    assert (caught.value.status_code, caught.value.type) == (shown, type)
    assert caught.value.body["error"]["message"] == "the words"  # type: ignore[index]
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize("stream", [True, False])
def test_the_configured_form_need_not_be_the_clients(
    world: Callable[..., World], stream: bool
) -> None:
    chat = world(CHAT, stream=stream)
    if stream:
        chat.streams(chunk({"content": "x"}), chunk({}, "stop"), chunk(usage=USAGE), DONE)
        got: Any = chat.anthropic.messages.create(**ASK)
    else:
        chat.answers(completion({"role": "assistant", "content": "x"}, "stop", usage=USAGE))
        with chat.anthropic.messages.stream(**ASK) as streamed:
            got = streamed.get_final_message()
    assert (got.content[0].text, got.usage.output_tokens) == ("x", 7)
    assert chat.upstream.requests[-1].json().get("stream", False) is stream
