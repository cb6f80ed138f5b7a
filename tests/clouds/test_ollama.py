"""Requests of other dialects to Ollama's own API; the types of its SDK judge what is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from llm_mesh_middleware._core.conversation.answer import Failed
from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._dialects.ollama import DIALECT
from llm_mesh_middleware.exceptions import UpstreamProtocolError
from llm_mesh_middleware.testing import Answer
from tests.clouds.bench import Bench, bench
from tests.clouds.sdks import claude, gpt
from tests.rows import rows
from tests.translation.spoken.ollama import COUNTED, SPOKEN, called, judged, line, stream

HI: Any = [{"role": "user", "content": "Hi"}]
PNG = "iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SAID = json.loads(line({"content": "Hello"}, done=True, done_reason="stop", **COUNTED))


@pytest.fixture(scope="module")
def ollama() -> Iterator[Bench]:
    config = {"model": "qwen3", "options": {"num_ctx": 32768, "temperature": 0.2}}
    with bench({"ollamaConfig": config}) as made:
        yield made


def test_a_completion_is_read_by_openais_sdk(ollama: Bench) -> None:
    ollama.answer(Answer(body=SAID))
    made = gpt(ollama).chat.completions.create(model="any", messages=HI)
    assert made.choices[0].message.content == "Hello"
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (5, 7)
    assert made.model == "o"
    assert judged(ollama.asked) == {
        "model": "qwen3",
        "messages": HI,
        "stream": False,
        "options": {"num_ctx": 32768, "temperature": 0.2},
    }


WEATHER = {
    "name": "weather",
    "description": "Tell it.",
    "parameters": {"properties": {"city": {"type": "string"}}},
}
TOOL: Any = {"type": "function", "function": WEATHER}
OTHER: Any = {"type": "function", "function": {"name": "other"}}
CALLED: Any = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "hm",
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Basel"}'},
        }
    ],
}
RESULT: Any = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
SENT_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

# A member of OpenAI's request, what of it must be in Ollama's, and what is dropped.
REQUESTS: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    (
        {"max_tokens": 3, "temperature": 2, "top_p": 0.5, "stop": ["a"], "seed": 7},
        {
            "options": {
                "num_ctx": 32768,
                "temperature": 2,
                "top_p": 0.5,
                "num_predict": 3,
                "stop": ["a"],
                "seed": 7,
            }
        },
        None,
    ),
    (
        {"messages": [{"role": "system", "content": "Be brief"}, *HI]},
        {"messages": [{"role": "system", "content": "Be brief"}, *HI]},
        None,
    ),
    (
        {"messages": [*HI, {"role": "system", "content": "Be brief"}]},
        {"messages": [*HI, {"role": "user", "content": "Be brief"}]},
        None,
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]}]},
        {"messages": [{"role": "user", "content": "See", "images": [PNG]}]},
        None,
    ),
    (
        {"messages": [*HI, CALLED, RESULT], "tools": [TOOL]},
        {
            "messages": [
                *HI,
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "hm",
                    "tool_calls": [called("weather", {"city": "Basel"}, id="c1")],
                },
                {
                    "role": "tool",
                    "content": "sunny",
                    "tool_name": "weather",
                    "tool_call_id": "c1",
                },
            ],
            "tools": [SENT_TOOL],
        },
        None,
    ),
    ({"tools": [TOOL, OTHER], "tool_choice": "none"}, {"tools": None}, None),
    (
        {
            "tools": [TOOL, OTHER],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        },
        {"tools": [SENT_TOOL]},
        "tool_choice",
    ),
    ({"tools": [TOOL], "parallel_tool_calls": False}, {}, "parallel_tool_calls"),
    ({"response_format": {"type": "json_object"}}, {"format": "json"}, None),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "s", "schema": SCHEMA},
            }
        },
        {"format": SCHEMA},
        None,
    ),
    ({"reasoning_effort": "none"}, {"think": False}, None),
    ({"reasoning_effort": "low"}, {"think": True}, None),
    ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}, None),
    ({"logit_bias": {"1": 2}, "verbosity": "low"}, {}, "logit_bias, verbosity"),
]


@rows("members, sent, dropped", REQUESTS)
def test_a_request_is_written_as_ollama_has_it(
    ollama: Bench, members: dict[str, Any], sent: dict[str, Any], dropped: str | None
) -> None:
    ollama.answer(Answer(body=SAID))
    asked: Any = {"model": "any", "messages": HI} | members
    made = gpt(ollama).chat.completions.with_raw_response.create(**asked)
    body = judged(ollama.asked)
    assert {name: body.get(name) for name in sent} == sent
    assert made.headers.get("x-llm-mesh-dropped") == dropped


AUDIO = {"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,YQ==", "filename": "f"}}
LINK = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}


@rows(
    "members, param",
    [
        ({"n": 2}, "n"),
        ({"messages": [{"role": "user", "content": [AUDIO]}]}, "input_audio"),
        ({"messages": [{"role": "user", "content": [FILE]}]}, "file"),
        ({"messages": [{"role": "user", "content": [LINK]}]}, "image_url"),
    ],
)
def test_what_ollama_cannot_be_asked_is_refused_by_name(
    ollama: Bench, members: dict[str, Any], param: str
) -> None:
    ollama.answer(Answer(body=SAID))
    with pytest.raises(openai.BadRequestError) as refused:
        gpt(ollama).chat.completions.create(**{"model": "any", "messages": HI, **members})
    assert (refused.value.code, refused.value.param) == ("unsupported_field", param)
    assert not ollama.upstream.requests


@rows("thinking, think", [("auto", True), ("adaptive", "high"), ("off", None)])
def test_how_much_a_model_thinks_is_a_setting(thinking: str, think: object) -> None:
    with bench({"ollamaConfig": {"model": "gpt-oss", "thinking": thinking}}) as made:
        made.answer(Answer(body=SAID))
        gpt(made).chat.completions.create(model="any", messages=HI, reasoning_effort="xhigh")
        assert judged(made.asked).get("think") == think


def test_lines_are_events_of_the_clients_sdk(ollama: Bench) -> None:
    ollama.answer(stream(*SPOKEN.stream))
    with claude(ollama).messages.stream(model="m", max_tokens=9, messages=HI) as told:
        answer = told.get_final_message()
    kinds = [block.type for block in answer.content]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    uses = [block for block in answer.content if block.type == "tool_use"]
    assert [(use.id, use.name, use.input) for use in uses] == [
        ("a", "one", {"x": 1}),
        ("b", "two", {"y": 2}),
    ]
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 7)
    assert judged(ollama.asked)["stream"] is True


def test_lines_are_joined_for_a_client_that_wants_no_stream() -> None:
    with bench({"ollamaConfig": {"model": "qwen3", "stream": True}}) as made:
        made.answer(stream(*SPOKEN.stream))
        answer = gpt(made).chat.completions.create(model="any", messages=HI)
        message = answer.choices[0].message
        assert message.content == "Grüße, 世界"
        assert [call.id for call in message.tool_calls or ()] == ["a", "b"]
        assert answer.choices[0].finish_reason == "tool_calls"


def test_calls_without_an_id_get_different_ones(ollama: Bench) -> None:
    calls = [called("f", {}), called("f", {})]
    ollama.answer(Answer(body=json.loads(line({"tool_calls": calls}, done=True))))
    answer = gpt(ollama).chat.completions.create(model="any", messages=HI)
    ids = {call.id for call in answer.choices[0].message.tool_calls or ()}
    assert len(ids) == 2


@rows("status, error", [(404, openai.NotFoundError), (400, openai.BadRequestError)])
def test_an_error_is_told_in_ollamas_words(
    ollama: Bench, status: int, error: type[openai.APIStatusError]
) -> None:
    ollama.answer(Answer(status, body={"error": "model 'qwen3' not found"}))
    with pytest.raises(error, match="model 'qwen3' not found"):
        gpt(ollama).chat.completions.create(model="any", messages=HI)


def test_an_error_after_the_first_word_ends_the_clients_stream(ollama: Bench) -> None:
    ollama.answer(stream(line({"content": "So"}), b'{"error":"out of memory"}\n'))
    chunks = gpt(ollama).chat.completions.create(model="any", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="out of memory"):
        list(chunks)


def test_a_stream_that_is_cut_off_is_never_complete(ollama: Bench) -> None:
    ollama.answer(stream(line({"content": "So"})))
    chunks = gpt(ollama).chat.completions.create(model="any", messages=HI, stream=True)
    with pytest.raises(openai.APIError):
        list(chunks)


def test_a_model_that_was_only_loaded_has_not_answered(ollama: Bench) -> None:
    ollama.answer(Answer(body=json.loads(line({}, done=True, done_reason="load"))))
    with pytest.raises(openai.InternalServerError):
        gpt(ollama).chat.completions.create(model="any", messages=HI)


def test_probabilities_of_tokens_are_told(ollama: Bench) -> None:
    token = {"token": "Hello", "logprob": -0.5, "top_logprobs": [{"token": "Hi", "logprob": -1}]}
    ollama.answer(Answer(body=SAID | {"logprobs": [token]}))
    made = gpt(ollama).chat.completions.create(
        model="any", messages=HI, logprobs=True, top_logprobs=1
    )
    told = made.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert (told.content[0].token, told.content[0].top_logprobs[0].token) == ("Hello", "Hi")


def test_tokens_are_estimated_as_there_is_no_api_for_it(ollama: Bench) -> None:
    ollama.answer()
    counted = claude(ollama).messages.with_raw_response.count_tokens(model="m", messages=HI)
    assert counted.headers["x-llm-mesh-estimated"] == "input_tokens"
    assert counted.parse().input_tokens > 0
    assert not ollama.upstream.requests


@rows("bad", [b"not json\n", b"[1]x\n", b"{\n"])
def test_a_line_that_is_not_json_is_told(bad: bytes) -> None:
    reader = DIALECT.event_reader(Stamp(1, "t"))
    assert reader.feed(line({"content": "So"}))
    with pytest.raises(UpstreamProtocolError):
        reader.feed(bad)


def test_nothing_is_read_after_an_error() -> None:
    reader = DIALECT.event_reader(Stamp(1, "t"))
    (failed,) = reader.feed(b'{"error":"busy"}\n' + line({"content": "So"}, done=True))
    assert isinstance(failed, Failed)
    assert failed.fault.message == "busy"
