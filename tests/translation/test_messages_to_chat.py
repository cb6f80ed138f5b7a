"""Anthropic's SDK on providers of chat completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import pytest

from llm_mesh_middleware.testing import chat_completion
from tests.translation.worlds import CHAT, World

ASK: Any = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
TOOL: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
PNG: Any = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def completion(message: dict[str, Any], reason: str, **more: Any) -> dict[str, Any]:
    body = dict(chat_completion())
    body["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
    return body | more


def call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


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


def sent(chat: World, **request: Any) -> dict[str, Any]:
    chat.answers(chat_completion())
    chat.anthropic.messages.create(**(ASK | request))
    return chat.asked()


def streamed(chat: World) -> anthropic.types.Message:
    """Return what the SDK makes of a stream."""
    with chat.anthropic.messages.stream(**ASK) as stream:
        return stream.get_final_message()


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


# Answers.


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
