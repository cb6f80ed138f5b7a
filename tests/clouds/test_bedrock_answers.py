"""Streams, errors and reasons to end of Bedrock's Converse, behind clients of other dialects."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.clouds.bench import HOST, Bench
from tests.clouds.converse import (
    FRAMES,
    HI,
    USAGE,
    answer,
    chat,
    judged,
    messages,
    stream,
    without_time,
)
from tests.clouds.frames import event, exception, frame

STREAM = (
    event("messageStart", {"role": "assistant"}),
    event(
        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}
    ),
    event(
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "sig"}}},
    ),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Grü"}}),
    event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "ezi"}}),
    event("contentBlockStop", {"contentBlockIndex": 1}),
    event(
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}},
    ),
    event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a":'}}}),
    event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "1}"}}}),
    event("contentBlockStop", {"contentBlockIndex": 2}),
    event("messageStop", {"stopReason": "tool_use"}),
    event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
)


def test_a_stream_is_joined_by_openais_sdk(bedrock: Bench) -> None:
    bedrock.answer(stream(*STREAM))
    with chat(bedrock).stream(
        model="any", messages=HI, stream_options={"include_usage": True}
    ) as opened:
        made = opened.get_final_completion()
    message = made.choices[0].message
    assert message.content == "Grüezi"
    assert message.tool_calls[0].function.arguments == '{"a":1}'
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.usage.total_tokens == 15
    assert bedrock.asked.path == "/model/us.claude-v1%3A0/converse-stream"
    judged(bedrock.asked)


def test_a_stream_is_joined_by_anthropics_sdk_and_its_proof_comes_back(bedrock: Bench) -> None:
    bedrock.answer(stream(*STREAM))
    with messages(bedrock).stream(model="any", max_tokens=9, messages=HI) as opened:
        made = opened.get_final_message()
    assert [block.type for block in made.content] == ["thinking", "text", "tool_use"]
    assert made.content[2].input == {"a": 1}
    assert made.stop_reason == "tool_use"
    assert (made.usage.input_tokens, made.usage.cache_read_input_tokens) == (5, 2)
    assert made.usage.output_tokens == 7

    bedrock.answer(answer({"text": "ok"}))
    turns = [
        *HI,
        {"role": "assistant", "content": [block.to_dict() for block in made.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "7"}],
        },
    ]
    messages(bedrock).create(model="any", max_tokens=9, messages=turns)
    said = judged(bedrock.asked)["messages"][1]["content"]
    assert said[0] == {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}


def streamed(made: Bench, answer: Stream) -> bytes:
    made.answer(answer)
    body = {"model": "any", "messages": HI, "stream": True}
    with made.client.stream("POST", f"http://{HOST}/v1/chat/completions", json=body) as response:
        return b"".join(response.iter_raw())


def test_frames_may_be_cut_at_every_byte(bedrock: Bench) -> None:
    data = b"".join(STREAM)
    whole = without_time(streamed(bedrock, Stream([data], headers=FRAMES)))
    assert whole[-2:] == [b"[DONE]", b""]
    for step in (1, 7, 100):
        pieces = [data[i : i + step] for i in range(0, len(data), step)]
        assert without_time(streamed(bedrock, Stream(pieces, headers=FRAMES))) == whole


BROKEN = [
    (STREAM[:6], "ended its stream too early"),
    ((*STREAM[:6], STREAM[6][:-3]), "too early"),
    ((*STREAM[:6], STREAM[6][:-1] + b"\xff"), "a frame has a wrong checksum"),
    ((*STREAM[:6], b"\0" * 64), "wrong checksum"),
    ((*STREAM[:6], frame({":message-type": "event", ":event-type": "x"}, b"?")), "no event"),
    ((*STREAM[:6], exception("modelStreamErrorException", "their words")), "their words"),
    ((*STREAM[:6], event("messageStop", {"stopReason": "malformed_tool_use"})), "malformed"),
]


@pytest.mark.parametrize(("frames", "message"), BROKEN)
def test_a_broken_stream_ends_with_an_error_and_never_with_done(
    bedrock: Bench, frames: tuple[bytes, ...], message: str
) -> None:
    pieces = [b"".join(frames[:6]), b"".join(frames[6:])]
    got = streamed(bedrock, Stream(pieces, headers=FRAMES, pause=0.03))
    assert "ezi" in got.decode()
    assert b"[DONE]" not in got
    last = json.loads(got.rstrip().rpartition(b"data: ")[2])
    assert message in last["error"]["message"]


FAULTS = [
    ("ThrottlingException", 429, openai.RateLimitError, anthropic.RateLimitError),
    ("ValidationException", 400, openai.BadRequestError, anthropic.BadRequestError),
    ("AccessDeniedException", 403, openai.PermissionDeniedError, anthropic.PermissionDeniedError),
    ("ResourceNotFoundException", 404, openai.NotFoundError, anthropic.NotFoundError),
    ("InternalServerException", 500, openai.InternalServerError, anthropic.InternalServerError),
    ("ModelErrorException", 424, openai.InternalServerError, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("name", "status", "openais", "anthropics"), FAULTS)
def test_each_sdk_raises_its_own_class_with_the_providers_words(
    bedrock: Bench, name: str, status: int, openais: Any, anthropics: Any
) -> None:
    headers = [("x-amzn-errortype", f"{name}:http://internal.example/")]
    told = Answer(status, headers, {"message": "their words"})
    bedrock.upstream.clear()
    bedrock.upstream.always(told)
    try:
        with pytest.raises(openais, match="their words"):
            chat(bedrock).create(model="any", messages=HI)
        with pytest.raises(anthropics, match="their words"):
            messages(bedrock).create(model="any", max_tokens=9, messages=HI)
    finally:
        bedrock.upstream.always(None)


@pytest.mark.parametrize(
    ("stop", "finish", "reason"),
    [
        ("end_turn", "stop", "end_turn"),
        ("stop_sequence", "stop", "end_turn"),
        ("max_tokens", "length", "max_tokens"),
        ("model_context_window_exceeded", "length", "max_tokens"),
        ("guardrail_intervened", "content_filter", "refusal"),
        ("content_filtered", "content_filter", "refusal"),
        ("something_new", "stop", "end_turn"),
    ],
)
def test_reasons_to_end_are_those_of_the_clients_dialect(
    bedrock: Bench, stop: str, finish: str, reason: str
) -> None:
    bedrock.answer(answer({"text": "a"}, stop=stop), answer({"text": "a"}, stop=stop))
    assert chat(bedrock).create(model="any", messages=HI).choices[0].finish_reason == finish
    made = messages(bedrock).create(model="any", max_tokens=9, messages=HI)
    assert made.stop_reason == reason


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
def test_a_malformed_answer_is_an_error(bedrock: Bench, stop: str) -> None:
    bedrock.upstream.clear()
    bedrock.upstream.always(answer({"text": "a"}, stop=stop))
    try:
        with pytest.raises(openai.InternalServerError, match=stop):
            chat(bedrock).create(model="any", messages=HI)
    finally:
        bedrock.upstream.always(None)
