"""OpenAI's Responses API as the client's dialect, on providers of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from llm_mesh_middleware.testing import chat_completion
from tests.translation.chat_shapes import DONE, USAGE, call, chunk, completion
from tests.translation.messages_shapes import block, end, message, start, text, use, words
from tests.translation.worlds import CHAT, MESSAGES, World

ASK: Any = {"model": "m", "input": "hi"}
TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
CUSTOM: Any = {"type": "custom", "name": "patch", "description": "Patch."}


@pytest.fixture
def chat(world: Callable[..., World]) -> World:
    return world(CHAT, apis=["chat"])


def sent(chat: World, /, **request: Any) -> dict[str, Any]:
    chat.answers(chat_completion())
    chat.openai.responses.create(**(ASK | request))
    return chat.asked()


def streamed(world: World, **request: Any) -> tuple[list[Any], Response]:
    """Return all events and the response that the SDK makes of them."""
    with world.openai.responses.stream(**(ASK | request)) as stream:
        events = list(stream)
        return events, stream.get_final_response()


REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"messages": [{"role": "user", "content": "hi"}]}),
    (
        {"instructions": "be brief"},
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi"},
            ]
        },
    ),
    ({"max_output_tokens": 9}, {"max_tokens": 9}),
    ({"temperature": 1, "top_p": 0.5}, {"temperature": 1, "top_p": 0.5}),
    ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
    ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}
            }
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
            }
        },
    ),
    ({"safety_identifier": "u" * 70}, {"user": None}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "look"}},
        {"tool_choice": {"type": "function", "function": {"name": "look"}}},
    ),
    ({"tools": [TOOL], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(
    chat: World, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(chat, **asked)
    if expected == {"user": None}:
        assert len(body["user"]) == 64
    else:
        assert {name: body.get(name) for name in expected} == expected


ITEMS: Any = [
    {"role": "developer", "content": "rules"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
    {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "*** x"},
    {"type": "function_call_output", "call_id": "a", "output": "seen"},
    {
        "type": "custom_tool_call_output",
        "call_id": "b",
        "output": [
            {"type": "input_text", "text": "done"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        ],
    },
    {"role": "user", "content": "and?"},
]


def test_items_are_messages(chat: World) -> None:
    body = sent(chat, input=ITEMS, tools=[TOOL, CUSTOM])
    image = {"url": "data:image/png;base64,AA", "detail": "low"}
    assert body["messages"] == [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "ok",
            "tool_calls": [call("a", "look", "{}"), call("b", "patch", '{"input":"*** x"}')],
        },
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": "done"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": image},
                {"type": "text", "text": "and?"},
            ],
        },
    ]
    parameters = body["tools"][1]["function"]["parameters"]
    assert parameters["properties"] == {"input": {"type": "string"}}


def test_tools_of_the_provider_are_dropped_by_name(chat: World) -> None:
    chat.answers(chat_completion())
    raw = chat.openai.responses.with_raw_response.create(
        **ASK, tools=[TOOL, {"type": "web_search"}], extra_body={"client_metadata": {"a": "b"}}
    )
    assert raw.headers["x-llm-mesh-dropped"] == "tools.web_search"


STATEFUL = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
]


@pytest.mark.parametrize(("asked", "named"), STATEFUL)
def test_what_needs_a_store_is_refused(chat: World, asked: dict[str, Any], named: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.openai.responses.create(**(ASK | asked))
    assert (caught.value.code, caught.value.param) == ("unsupported_field", named)


# Answers.


def test_a_response_has_items_and_repeats_the_request(chat: World) -> None:
    said = {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "hm",
        "tool_calls": [call("a", "look", ""), call("b", "patch", '{"input":"*** x"}')],
    }
    chat.answers(completion(said, "tool_calls", usage=USAGE))
    got = chat.openai.responses.create(**ASK, tools=[TOOL, CUSTOM], metadata={"k": "v"})
    kinds = [item.type for item in got.output]
    assert kinds == ["reasoning", "message", "function_call", "custom_tool_call"]
    first, second = got.output[2:]
    assert (first.call_id, first.arguments) == ("a", "{}")  # type: ignore[union-attr]
    assert (second.call_id, second.input) == ("b", "*** x")  # type: ignore[union-attr]
    assert (got.output_text, got.status, got.metadata) == ("I look.", "completed", {"k": "v"})
    assert [tool.type for tool in got.tools] == ["function", "custom"]
    usage: Any = got.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 7, 17)
    assert usage.input_tokens_details.cached_tokens == 4
    assert usage.output_tokens_details.reasoning_tokens == 2


REASONS = [
    ("stop", "completed", None),
    ("length", "incomplete", "max_output_tokens"),
    ("content_filter", "incomplete", "content_filter"),
]


@pytest.mark.parametrize(("reason", "status", "why"), REASONS)
def test_every_reason_to_stop_is_a_status(
    chat: World, reason: str, status: str, why: str | None
) -> None:
    chat.answers(completion({"role": "assistant", "content": "x"}, reason))
    got = chat.openai.responses.create(**ASK)
    assert (got.status, got.incomplete_details and got.incomplete_details.reason) == (status, why)
    chat.streams(chunk({"content": "x"}), chunk({}, reason), DONE)
    events = list(chat.openai.responses.create(**ASK, stream=True))
    assert events[-1].type == f"response.{status}"


def test_a_refusal_is_a_part(chat: World) -> None:
    chat.answers(completion({"role": "assistant", "content": None, "refusal": "no"}, "stop"))
    got: Any = chat.openai.responses.create(**ASK)
    assert got.output[0].content[0].refusal == "no"


def test_a_stream_follows_the_grammar(chat: World) -> None:
    def piece(index: int, text: str, **more: Any) -> Any:
        function = {"arguments": text} | ({"name": more.pop("name")} if "name" in more else {})
        return chunk({"tool_calls": [{"index": index, "function": function, **more}]})

    chat.streams(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Lo"}),
        chunk({"content": "ok"}),
        piece(0, "", id="a", name="look"),
        piece(1, "", id="b", name="patch"),
        piece(0, '{"x":'),
        piece(1, '{"input":"*** x"}'),
        piece(0, "1}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    )
    raw = chat.post("/v1/responses", {**ASK, "stream": True, "tools": [TOOL, CUSTOM]})
    names = [line[7:] for line in raw.text.splitlines() if line.startswith("event: ")]
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.completed",
    ]
    events, got = streamed(chat, tools=[TOOL, CUSTOM])
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(numbers)
    assert events[0].response.id == got.id
    assert got.output_text == "Look"
    outputs: Any = got.output
    assert (outputs[2].arguments, outputs[3].input) == ('{"x":1}', "*** x")
    assert got.usage is not None
    assert got.usage.output_tokens == 7


def test_a_stream_that_is_cut_off_has_failed(chat: World) -> None:
    chat.streams(chunk({"content": "x"}))
    raw = chat.post("/v1/responses", {**ASK, "stream": True})
    assert "event: response.failed" in raw.text
    assert "response.completed" not in raw.text


def test_an_error_in_a_stream_is_a_response_that_failed(chat: World) -> None:
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}
    chat.streams(chunk({"content": "x"}), error)
    events = list(chat.openai.responses.create(**ASK, stream=True))
    failed = events[-1]
    assert failed.type == "response.failed"
    assert failed.response.error is not None
    told = (failed.response.error.code, failed.response.error.message)
    assert told == ("rate_limit_exceeded", "slow down")


def test_an_error_keeps_its_words_and_class(chat: World) -> None:
    chat.answers({"error": {"message": "the words", "type": "t", "code": "c"}}, 429)
    with pytest.raises(openai.RateLimitError, match="the words") as caught:
        chat.openai.responses.create(**ASK)
    assert caught.value.code == "c"


# On the Messages API.


@pytest.fixture
def claude(world: Callable[..., World]) -> World:
    return world(MESSAGES)


THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": "blob"}


def test_reasoning_comes_back_as_its_provider_signed_it(claude: World) -> None:
    claude.answers(message(THINKING, REDACTED, use("t", "look", {"x": 1}), reason="tool_use"))
    more: Any = {"store": False, "include": ["reasoning.encrypted_content"], "tools": [TOOL]}
    got = claude.openai.responses.create(**ASK, **more, reasoning={"effort": "high"})
    items: Any = [{"role": "user", "content": "hi"}]
    items += [item.model_dump(exclude_none=True) for item in got.output]
    items.append({"type": "function_call_output", "call_id": "t", "output": "seen"})
    again = claude.openai.responses.create(**(ASK | more | {"input": items}))
    assert again.output
    assert claude.asked()["messages"][1]["content"] == [
        THINKING,
        REDACTED,
        use("t", "look", {"x": 1}),
    ]


def test_streamed_reasoning_comes_back_too(claude: World) -> None:
    claude.streams(
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, REDACTED),
        *block(2, use("t", "look", {}), {"type": "input_json_delta", "partial_json": "{}"}),
        *end("tool_use"),
    )
    _, got = streamed(claude, store=False, tools=[TOOL])
    items: Any = [item.model_dump(exclude_none=True) for item in got.output]
    for item in items:
        item.pop("parsed_arguments", None)
    items.insert(0, {"role": "user", "content": "hi"})
    items.append({"type": "function_call_output", "call_id": "t", "output": "seen"})
    claude.answers(message(text("x")))
    claude.openai.responses.create(**(ASK | {"input": items, "tools": [TOOL]}))
    assert claude.asked()["messages"][1]["content"] == [THINKING, REDACTED, use("t", "look", {})]


def test_proofs_are_not_given_to_a_client_that_keeps_none(claude: World) -> None:
    claude.answers(message(THINKING, text("x")))
    got: Any = claude.openai.responses.create(**ASK)
    assert (got.output[0].summary[0].text, got.output[0].encrypted_content) == ("hm", None)


def test_a_text_is_streamed(claude: World) -> None:
    claude.streams(start(), *block(0, text(""), *words("a", "b")), *end())
    events, got = streamed(claude)
    assert got.output_text == "ab"
    assert [e.delta for e in events if e.type == "response.output_text.delta"] == ["a", "b"]
