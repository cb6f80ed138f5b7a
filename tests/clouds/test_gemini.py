"""Gemini behind clients of other dialects; Google's own types judge what is sent."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from llm_mesh_middleware.testing import Answer, Gate, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.converse import HI, TOOL, chat, messages, without_time
from tests.clouds.test_gemini_relay import EVENTS, STREAM, USAGE, content
from tests.translation.spoken.gemini import judged

KEY = canary("gemini")
PNG = b64encode(b"\x89PNG").decode()
STAND_IN = b64encode(b"skip_thought_signature_validator").decode()


@pytest.fixture(scope="module")
def gemini() -> Iterator[Bench]:
    with bench({"geminiConfig": {"apiKey": KEY, "model": "gemini-x"}}) as made:
        yield made


def answer(*parts: dict[str, Any], finish: str = "STOP") -> Answer:
    return Answer(200, body=content(*parts, finish=finish, usageMetadata=USAGE))


CALLS: Any = [
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1e0}'}},
    {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
]
HISTORY: Any = [
    *HI,
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "b", "content": "no"},
    {"role": "tool", "tool_call_id": "a", "content": '{"y": 2}'},
    {"role": "user", "content": "and?"},
]
REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    (
        {"messages": [{"role": "system", "content": "Be brief"}, *HI]},
        {"systemInstruction": {"parts": [{"text": "Be brief"}]}},
    ),
    (
        {
            "max_completion_tokens": 3,
            "temperature": 2,
            "top_p": 0.5,
            "stop": ["a"],
            "seed": 7,
            "frequency_penalty": 0.5,
            "presence_penalty": 0.25,
        },
        {
            "generationConfig": {
                "maxOutputTokens": 3,
                "temperature": 2,
                "topP": 0.5,
                "stopSequences": ["a"],
                "seed": 7,
                "frequencyPenalty": 0.5,
                "presencePenalty": 0.25,
            }
        },
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parametersJsonSchema": {"properties": {}}}
                    ]
                }
            ],
        },
    ),
    (
        {"tools": [TOOL], "tool_choice": "none"},
        {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"$defs": {}, "type": "object"}},
            }
        },
        {
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": {"$defs": {}, "type": "object"},
            }
        },
    ),
    (
        {"response_format": {"type": "json_object"}},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ),
    (
        {"reasoning_effort": "medium"},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192}}},
    ),
    (
        {"reasoning_effort": "none"},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
                        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
                    ],
                }
            ]
        },
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"inlineData": {"mimeType": "image/png", "data": PNG}},
                        {"fileData": {"fileUri": "https://a.example/b.png"}},
                        {"inlineData": {"mimeType": "audio/wav", "data": PNG}},
                    ],
                }
            ]
        },
    ),
    (
        {"messages": HISTORY},
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {
                    "role": "model",
                    "parts": [
                        {
                            "functionCall": {"name": "f", "args": {"x": 1}},
                            "thoughtSignature": STAND_IN,
                        },
                        {"functionCall": {"name": "g", "args": {}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "f", "response": {"y": 2}}},
                        {"functionResponse": {"name": "g", "response": {"output": "no"}}},
                    ],
                },
                {"role": "user", "parts": [{"text": "and?"}]},
            ]
        },
    ),
    ({"service_tier": "flex"}, {"serviceTier": "flex"}),
]


@pytest.mark.parametrize(("asked", "wanted"), REQUESTS)
def test_what_is_sent_fits_googles_types(
    gemini: Bench, asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    gemini.answer(answer({"text": "ok"}))
    chat(gemini).create(**{"model": "any", "messages": HI, **asked})
    body = judged(gemini.asked)
    assert {name: body.get(name) for name in wanted} == wanted
    assert gemini.asked.target == "/v1beta/models/gemini-x:generateContent"
    assert gemini.asked.header("x-goog-api-key") == KEY


def test_an_answer_is_read_by_each_sdk(gemini: Bench) -> None:
    parts = (
        {"text": "hm", "thought": True},
        {"text": "Grüezi"},
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f", "args": {"a": 2}}},
    )
    gemini.answer(answer(*parts), answer(*parts))
    made = chat(gemini).create(model="any", messages=HI)
    message = made.choices[0].message
    assert (message.content, made.choices[0].finish_reason) == ("Grüezi", "tool_calls")
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [
        {"a": 1},
        {"a": 2},
    ]
    assert len({call.id for call in message.tool_calls}) == 2
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (5, 9)
    assert made.usage.completion_tokens_details.reasoning_tokens == 2
    said = messages(gemini).create(model="any", max_tokens=9, messages=HI)
    kinds = [block.type for block in said.content]
    assert kinds == ["thinking", "text", "thinking", "tool_use", "tool_use"]
    assert said.stop_reason == "tool_use"


def test_a_stream_is_joined_by_each_sdk_and_its_signature_comes_back(gemini: Bench) -> None:
    gemini.answer(Stream([STREAM]), Stream([STREAM]))
    with chat(gemini).stream(
        model="any", messages=HI, stream_options={"include_usage": True}
    ) as opened:
        made = opened.get_final_completion()
    assert made.choices[0].message.content == "Grü"
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.usage.total_tokens == 14
    with messages(gemini).stream(model="any", max_tokens=9, messages=HI) as joined:
        said = joined.get_final_message()
    targets = [request.target for request in gemini.upstream.requests]
    assert targets == ["/v1beta/models/gemini-x:streamGenerateContent?alt=sse"] * 2

    (call,) = [block for block in said.content if block.type == "tool_use"]
    gemini.answer(answer({"text": "ok"}))
    turns = [
        *HI,
        {"role": "assistant", "content": [block.to_dict() for block in said.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "7"}],
        },
    ]
    messages(gemini).create(model="any", max_tokens=9, messages=turns)
    parts = judged(gemini.asked)["contents"][1]["parts"]
    (sent,) = [part for part in parts if "functionCall" in part]
    assert sent["thoughtSignature"] == "c2ln"


def streamed(made: Bench, answer: Stream, begun: Gate | None = None) -> bytes:
    made.answer(answer)
    body = {"model": "any", "messages": HI, "stream": True}
    with made.client.stream("POST", f"http://{HOST}/v1/chat/completions", json=body) as response:
        got = b""
        for piece in response.iter_raw():
            got += piece
            if begun is not None:
                begun.open()
        return got


def test_events_may_be_cut_at_every_byte(gemini: Bench) -> None:
    def told(stream: Stream) -> list[Any]:
        return without_time(re.sub(rb"call_[0-9a-f]+", b"call_", streamed(gemini, stream)))

    whole = told(Stream([STREAM]))
    assert whole[-2:] == [b"[DONE]", b""]
    for step in (1, 13, 200):
        pieces = [STREAM[i : i + step] for i in range(0, len(STREAM), step)]
        assert told(Stream(pieces)) == whole


def events(*made: dict[str, Any]) -> bytes:
    return b"".join(b"data: %s\r\n\r\n" % json.dumps(each).encode() for each in made)


BROKEN = [
    (b"", "ended its stream too early"),
    (events({"error": {"code": 503, "message": "their words", "status": "UNAVAILABLE"}}), "words"),
    (events(content(finish="MALFORMED_FUNCTION_CALL")), "MALFORMED_FUNCTION_CALL"),
    (b"data: {\r\n\r\n", "not JSON"),
]


@pytest.mark.parametrize(("rest", "message"), BROKEN)
def test_a_broken_stream_ends_with_an_error_and_never_with_done(
    gemini: Bench, rest: bytes, message: str
) -> None:
    begun = Gate()  # once the client has something, the rest can be no error of the whole
    got = streamed(gemini, Stream([events(*EVENTS[:2]), begun, rest or b"\n"]), begun)
    assert b"[DONE]" not in got
    assert "Grü" in json.dumps(without_time(got), ensure_ascii=False, default=str)
    last = json.loads(got.rstrip().rpartition(b"data: ")[2])
    assert message in last["error"]["message"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_reasons_to_end_are_those_of_the_clients_dialect(
    gemini: Bench, reason: str, finish: str
) -> None:
    gemini.answer(answer({"text": "a"}, finish=reason))
    assert chat(gemini).create(model="any", messages=HI).choices[0].finish_reason == finish


def test_a_prompt_that_is_refused_is_an_answer_without_content(gemini: Bench) -> None:
    gemini.answer(Answer(200, body={"promptFeedback": {"blockReason": "SAFETY"}}))
    made = chat(gemini).create(model="any", messages=HI)
    assert made.choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("status", "word", "openais", "anthropics"),
    [
        (400, "INVALID_ARGUMENT", openai.BadRequestError, anthropic.BadRequestError),
        (403, "PERMISSION_DENIED", openai.PermissionDeniedError, anthropic.PermissionDeniedError),
        (404, "NOT_FOUND", openai.NotFoundError, anthropic.NotFoundError),
        (429, "RESOURCE_EXHAUSTED", openai.RateLimitError, anthropic.RateLimitError),
        (500, "INTERNAL", openai.InternalServerError, anthropic.InternalServerError),
    ],
)
def test_each_sdk_raises_its_own_class_with_the_providers_words(
    gemini: Bench, status: int, word: str, openais: Any, anthropics: Any
) -> None:
    body: Any = {"error": {"code": status, "message": "their words", "status": word}}
    for told in (body, [body]):
        gemini.upstream.clear()
        gemini.upstream.always(
            Answer(status, [("content-type", "application/json")], json.dumps(told))
        )
        try:
            with pytest.raises(openais, match="their words"):
                chat(gemini).create(model="any", messages=HI)
            with pytest.raises(anthropics, match="their words"):
                messages(gemini).create(model="any", max_tokens=9, messages=HI)
        finally:
            gemini.upstream.always(None)
