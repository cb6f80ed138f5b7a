"""OpenAI's Responses API as the provider's dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.translation.worlds import CHAT, World

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}


@pytest.fixture
def responses(world: Callable[..., World]) -> World:
    return world(CHAT, apis=["responses"])


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt",
        "status": status,
        "output": list(output),
        "usage": USAGE,
        **more,
    }


def said(words: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": words, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}


def called(id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": id, "name": "look"} | {
        "arguments": arguments
    }


REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "sealed",
}


def sent(responses: World, /, **request: Any) -> dict[str, Any]:
    responses.answers(response(said("x")))
    responses.openai.chat.completions.create(**(ASK | request))
    return responses.asked()


REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"input": [{"role": "user", "content": "hi"}], "store": False}),
    ({"max_completion_tokens": 9}, {"max_output_tokens": 9}),
    ({"temperature": 1}, {"temperature": 1}),
    ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
    (
        {"tools": [TOOL], "tool_choice": "required"},
        {
            "tools": [
                {
                    "type": "function",
                    "name": "look",
                    "parameters": {"type": "object"},
                    "strict": False,
                }
            ],
            "tool_choice": "required",
        },
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
    ),
    (
        {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "hi"}]},
        {"instructions": "a", "input": [{"role": "user", "content": "hi"}]},
    ),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTS)
def test_a_request_is_translated(
    responses: World, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(responses, **asked)
    assert {name: body.get(name) for name in expected} == expected
    assert responses.upstream.requests[-1].path == "/v1/responses"


def test_effort_asks_for_the_proofs_of_reasoning(responses: World) -> None:
    body = sent(responses, reasoning_effort="high")
    assert body["reasoning"]["effort"] == "high"
    assert body["include"] == ["reasoning.encrypted_content"]


def test_calls_and_results_are_items(responses: World) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "ok", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]
    assert sent(responses, messages=turns)["input"] == [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        },
        {"role": "assistant", "content": "ok"},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "seen"},
    ]


def test_what_is_dropped_is_named(responses: World) -> None:
    responses.answers(response(said("x")))
    raw = responses.openai.chat.completions.with_raw_response.create(**ASK, stop="a", seed=1)
    assert raw.headers["x-llm-mesh-dropped"] == "stop, seed"


def test_an_answer_has_calls_by_their_call_id(responses: World) -> None:
    responses.answers(response(REASONING, said("ok"), called("call_9", '{"x":1}')))
    got = responses.openai.chat.completions.create(**ASK)
    message: Any = got.choices[0].message
    assert (message.content, message.reasoning_content) == ("ok", "hm")
    assert message.tool_calls[0].id == "call_9"
    assert got.choices[0].finish_reason == "tool_calls"
    usage: Any = got.usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (10, 4)


REASONS = [
    ({"status": "completed"}, "stop", "end_turn"),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        "length",
        "max_tokens",
    ),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        "content_filter",
        "refusal",
    ),
]


@pytest.mark.parametrize(("ended", "chat", "messages"), REASONS)
def test_every_status_is_a_reason_to_stop(
    responses: World, ended: dict[str, Any], chat: str, messages: str
) -> None:
    responses.answers(response(said("x"), **ended))
    assert responses.openai.chat.completions.create(**ASK).choices[0].finish_reason == chat
    got = responses.anthropic.messages.create(**ASK, max_tokens=9)
    assert got.stop_reason == messages


def test_a_response_that_failed_is_an_error(responses: World) -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    responses.answers(response(status="failed", error=error))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        responses.openai.chat.completions.create(**ASK)


def event(type: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{type}", **more}


def text_events() -> list[dict[str, Any]]:
    begun = response(status="in_progress", usage=None)
    return [
        event("created", response=begun),
        event("in_progress", response=begun),
        event("output_item.added", output_index=0, item=REASONING | {"summary": []}),
        event("reasoning_summary_part.added", output_index=0, summary_index=0),
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="hm"),
        event("reasoning_summary_text.done", output_index=0, summary_index=0, text="hm"),
        event("output_item.done", output_index=0, item=REASONING),
        event("output_item.added", output_index=1, item=said("")),
        event("output_text.delta", output_index=1, content_index=0, delta="Lo"),
        event("output_text.delta", output_index=1, content_index=0, delta="ok"),
        event("output_text.done", output_index=1, content_index=0, text="Look"),
        event("output_item.done", output_index=1, item=said("Look")),
        event("output_item.added", output_index=2, item=called("a", "")),
        event("function_call_arguments.delta", output_index=2, delta='{"x":'),
        event("function_call_arguments.delta", output_index=2, delta="1}"),
        event("function_call_arguments.done", output_index=2, arguments='{"x":1}'),
        event("output_item.done", output_index=2, item=called("a", '{"x":1}')),
        # some models send arguments only at the end
        event("output_item.added", output_index=3, item=called("b", "")),
        event("function_call_arguments.done", output_index=3, arguments='{"y":2}'),
        event("output_item.done", output_index=3, item=called("b", '{"y":2}')),
        event("completed", response=response()),
    ]


def test_a_stream_is_read_once(responses: World) -> None:
    responses.streams(*text_events())
    with responses.anthropic.messages.stream(**ASK, max_tokens=9) as stream:
        got: Any = stream.get_final_message()
    assert [b.type for b in got.content] == ["thinking", "text", "tool_use", "tool_use"]
    thinking, text, first, second = got.content
    assert (thinking.thinking, text.text, first.input, second.input) == (
        "hm",
        "Look",
        {"x": 1},
        {"y": 2},
    )
    assert (first.id, second.id) == ("a", "b")
    assert (got.usage.input_tokens, got.usage.cache_read_input_tokens) == (6, 4)


def test_reasoning_comes_back_as_its_provider_sealed_it(responses: World) -> None:
    responses.streams(*text_events())
    with responses.anthropic.messages.stream(**ASK, max_tokens=9) as stream:
        got = stream.get_final_message()
    blocks = [block.model_dump(exclude_none=True) for block in got.content]
    for block in blocks:
        for name in ("parsed_output", "caller"):
            block.pop(name, None)
    results = [{"type": "tool_result", "tool_use_id": id, "content": "x"} for id in ("a", "b")]
    turns: Any = [
        *ASK["messages"],
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": results},
    ]
    responses.answers(response(said("x")))
    responses.anthropic.messages.create(model="m", max_tokens=9, messages=turns)
    item = responses.asked()["input"][1]
    assert (item["type"], item["encrypted_content"]) == ("reasoning", "sealed")
    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]


@pytest.mark.parametrize("last", ["response.failed", "error"])
def test_an_error_in_a_stream_is_an_error(responses: World, last: str) -> None:
    told = {"code": "server_error", "message": "broken"}
    failed = (
        event("failed", response=response(status="failed", error=told))
        if last == "response.failed"
        else {"type": "error", **told}
    )
    responses.streams(*text_events()[:9], failed)
    with pytest.raises(openai.APIError, match="broken"):
        list(responses.openai.chat.completions.create(**ASK, stream=True))


def test_a_stream_without_its_last_event_is_cut_off(responses: World) -> None:
    responses.streams(*text_events()[:-1])
    with (
        pytest.raises(anthropic.APIStatusError),
        responses.anthropic.messages.stream(**ASK, max_tokens=9) as stream,
    ):
        stream.get_final_message()
