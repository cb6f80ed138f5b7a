"""Kept messages and responses as streams: the vendors' SDKs read the same objects of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from llm_mesh_middleware._dialects.anthropic.whole import AnthropicAnswers
from llm_mesh_middleware._dialects.openai_responses.answers import ResponsesAnswers
from llm_mesh_middleware.testing import FakeUpstream, Stream
from tests.canaries import canary
from tests.rows import rows

KEY = canary("kept")
ASKED: Any = [{"role": "user", "content": "Hello"}]
PLAIN = {"type": "text", "text": "Hello \u2713"}
CITED = {
    "type": "text",
    "text": "Water is wet.",
    "citations": [
        {
            "type": "char_location",
            "cited_text": "wet",
            "document_index": 0,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": 3,
            "file_id": None,
        }
    ],
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "eHl6"}
TOOL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "Oslo", "n": [1, {}]}}
EMPTY_TOOL = {"type": "tool_use", "id": "t2", "name": "g", "input": {}}


def message(*content: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {"input_tokens": 4, "output_tokens": 6, "cache_read_input_tokens": 2},
    }


def response(*output: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt",
        "status": "completed",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 4,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 6,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10,
        },
    }


SAID = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hello \u2713", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "No."},
    ],
}
REASONED = {"id": "r1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
CALLED = {
    "id": "c1",
    "type": "function_call",
    "status": "completed",
    "call_id": "x",
    "name": "f",
    "arguments": '{"a":1}',
}
MESSAGES = [
    message(*blocks)
    for blocks in ([PLAIN], [THOUGHT, HIDDEN, CITED], [PLAIN, TOOL, EMPTY_TOOL], [])
]
RESPONSES = [response(*items) for items in ([SAID], [REASONED, SAID], [CALLED], [])]


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=None) as upstream:
        yield upstream


@rows("whole", MESSAGES)
def test_a_message_survives_both_ways(whole: dict[str, Any]) -> None:
    answers = AnthropicAnswers()
    joined = answers.join(answers.split(encoded(whole), include_usage=True), None)
    assert joined is not None
    assert json.loads(joined) == whole


@pytest.mark.parametrize("whole", MESSAGES)
def test_the_sdk_reads_a_split_message(upstream: FakeUpstream, whole: dict[str, Any]) -> None:
    events = AnthropicAnswers().split(encoded(whole), include_usage=False)
    upstream.always(Stream([events]))
    with (
        anthropic.Anthropic(base_url=upstream.url, api_key=KEY) as client,
        client.messages.stream(model="claude", max_tokens=9, messages=ASKED) as stream,
    ):
        found = stream.get_final_message()

    assert found.to_dict() == anthropic.types.Message.model_validate(whole).to_dict()


@rows("cut", range(1, 8))
def test_a_stream_of_a_message_that_is_not_whole_is_none(cut: int) -> None:
    answers = AnthropicAnswers()
    events = answers.split(encoded(MESSAGES[1]), include_usage=True).split(b"\n\n")[:-1]
    assert answers.join(b"\n\n".join(events[:-cut]) + b"\n\n", None) is None


@rows(
    "event",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "new"},
        [],
    ],
)
def test_a_stream_with_what_nobody_knows_is_none(event: object) -> None:
    answers = AnthropicAnswers()
    first, *rest = answers.split(encoded(MESSAGES[0]), include_usage=True).split(b"\n\n")
    odd = b"event: x\ndata: " + json.dumps(event).encode()
    assert answers.join(b"\n\n".join([first, rest[0], odd, *rest[1:]]), None) is None


@rows("whole", RESPONSES)
def test_a_response_survives_both_ways(whole: dict[str, Any]) -> None:
    answers = ResponsesAnswers()
    joined = answers.join(answers.split(encoded(whole), include_usage=True), None)
    assert joined is not None
    assert json.loads(joined) == whole


@pytest.mark.parametrize("whole", RESPONSES)
def test_the_sdk_reads_a_split_response(upstream: FakeUpstream, whole: dict[str, Any]) -> None:
    upstream.always(Stream([ResponsesAnswers().split(encoded(whole), include_usage=False)]))
    with (
        openai.OpenAI(base_url=upstream.url, api_key=KEY) as client,
        client.responses.stream(model="gpt", input="Hello") as stream,
    ):
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        found = stream.get_final_response()

    wanted = openai.types.responses.Response.model_validate(whole)
    assert found.output_text == wanted.output_text == "".join(texts)
    assert [item.type for item in found.output] == [item.type for item in wanted.output]
    assert found.usage == wanted.usage
