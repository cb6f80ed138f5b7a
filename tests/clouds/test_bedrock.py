"""Bedrock's Converse behind clients of other dialects; botocore judges what is sent."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import anthropic
import botocore.session
import openai
import pytest
from botocore.validate import ParamValidator

from llm_mesh_middleware.testing import Answer, RecordedRequest, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.frames import event, exception, frame

SECRET = canary("bedrock")
FRAMES = (("content-type", "application/vnd.amazon.eventstream"), ("x-amzn-requestid", "req-1"))
PNG = b64encode(b"\x89PNG").decode()
USAGE = {
    "inputTokens": 5,
    "outputTokens": 7,
    "totalTokens": 12,
    "cacheReadInputTokens": 2,
    "cacheWriteInputTokens": 1,
}
MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
INPUT = MODEL.shape_for("ConverseRequest")


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bench]:
    credentials = {"accessKeyId": "AKID", "secretAccessKey": SECRET}
    config = {"region": "eu-west-1", "credentials": credentials, "model": "us.claude-v1:0"}
    with bench({"bedrockConfig": config}) as made:
        yield made


@pytest.fixture(scope="module")
def strict() -> Iterator[Bench]:
    config = {"region": "r", "apiKey": SECRET, "unsupportedFields": "reject", "model": "m"}
    with bench({"bedrockConfig": config}) as made:
        yield made


def as_parameters(value: Any, shape: Any) -> Any:
    """JSON as botocore's parameters: blobs are bytes."""
    if shape.type_name == "blob":
        return b64decode(value, validate=True)
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        assert isinstance(value, dict), (shape, value)
        unknown = value.keys() - shape.members.keys()
        assert not unknown, (shape.name, unknown)
        return {name: as_parameters(inner, shape.members[name]) for name, inner in value.items()}
    if shape.type_name == "list":
        return [as_parameters(item, shape.member) for item in value]
    return value


def judged(request: RecordedRequest) -> Any:
    """The body, which botocore's own model of the service must accept."""
    body = request.json()
    name = unquote(request.path.split("/")[2])
    report = ParamValidator().validate(as_parameters({**body, "modelId": name}, INPUT), INPUT)
    assert not report.has_errors(), report.generate_report()
    roles = [message["role"] for message in body["messages"]]
    assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
    return body


def answer(*content: dict[str, Any], stop: str = "end_turn") -> Answer:
    message = {"role": "assistant", "content": list(content)}
    body = {"output": {"message": message}, "stopReason": stop, "usage": USAGE}
    return Answer(200, [("x-amzn-requestid", "req-1")], body | {"metrics": {"latencyMs": 1}})


def stream(*frames: bytes) -> Stream:
    return Stream([b"".join(frames)], headers=FRAMES)


def chat(made: Bench) -> Any:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    ).chat.completions


def messages(made: Bench) -> Any:
    return anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    ).messages


HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "f", "description": "", "parameters": {"properties": {}}, "strict": True},
}


def test_a_completion_is_read_by_openais_sdk(bedrock: Bench) -> None:
    bedrock.answer(answer({"text": "Grü"}, {"text": "ezi"}))
    made = chat(bedrock).create(model="any", messages=HI)
    assert made.choices[0].message.content == "Grüezi"
    assert made.choices[0].finish_reason == "stop"
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (8, 7)
    assert made.usage.prompt_tokens_details.cached_tokens == 2
    assert made.model == "us.claude-v1:0"
    assert bedrock.asked.path == "/model/us.claude-v1%3A0/converse"
    assert judged(bedrock.asked)["messages"] == [{"role": "user", "content": [{"text": "Hi"}]}]
    authorization = bedrock.asked.header("authorization")
    assert authorization is not None
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "/eu-west-1/bedrock/aws4_request" in authorization


# OpenAI's request, and what of it must be in Bedrock's.
REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"max_tokens": 3, "temperature": 2, "top_p": 0.5, "stop": ["a", " "]},
        {
            "inferenceConfig": {
                "maxTokens": 3,
                "temperature": 1,
                "topP": 0.5,
                "stopSequences": ["a"],
            }
        },
    ),
    ({}, {"inferenceConfig": {"maxTokens": 4096}}),
    (
        {"messages": [{"role": "system", "content": "Be brief"}, *HI]},
        {"system": [{"text": "Be brief"}]},
    ),
    (
        {"messages": [{"role": "assistant", "content": "So"}, *HI, *HI]},
        {
            "messages": [
                {"role": "user", "content": [{"text": "(The conversation begins.)"}]},
                {"role": "assistant", "content": [{"text": "So"}]},
                {"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]},
            ]
        },
    ),
    (
        {"tools": [TOOL], "tool_choice": "required"},
        {
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "f",
                            "inputSchema": {"json": {"type": "object", "properties": {}}},
                            "strict": True,
                        }
                    }
                ],
                "toolChoice": {"any": {}},
            }
        },
    ),
    ({"tools": [TOOL], "tool_choice": "none"}, {"toolConfig": None}),
    (
        {
            "messages": [
                *HI,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call/ü",
                            "type": "function",
                            "function": {"name": "g", "arguments": '{"a": 1e0}'},
                        },
                        {
                            "id": "c2",
                            "type": "function",
                            "function": {"name": "h", "arguments": ""},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "call/ü", "content": "7"},
                {"role": "tool", "tool_call_id": "c2", "content": ""},
            ]
        },
        {
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": name,
                            "inputSchema": {"json": {"type": "object", "properties": {}}},
                        }
                    }
                    for name in ("g", "h")
                ]
            }
        },
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        {
                            "type": "file",
                            "file": {
                                "filename": "a_b.pdf",
                                "file_data": f"data:application/pdf;base64,{PNG}",
                            },
                        },
                    ],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": {"format": "png", "source": {"bytes": PNG}}},
                        {
                            "document": {
                                "format": "pdf",
                                "name": "a b pdf 1",
                                "source": {"bytes": PNG},
                            }
                        },
                        {"text": "See the document."},
                    ],
                }
            ]
        },
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
                }
            }
        },
    ),
    ({"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
    (
        {"reasoning_effort": "high"},
        {
            "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
            "outputConfig": {"effort": "high"},
        },
    ),
]


@pytest.mark.parametrize(("asked", "wanted"), REQUESTS)
def test_what_is_sent_fits_botocores_model_of_the_service(
    bedrock: Bench, asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    bedrock.answer(answer({"text": "ok"}))
    chat(bedrock).create(**{"model": "any", "messages": HI, **asked})
    body = judged(bedrock.asked)
    assert {name: body.get(name) for name in wanted} == wanted


def test_results_of_tools_go_back_under_the_ids_of_their_calls(bedrock: Bench) -> None:
    bedrock.answer(answer({"text": "ok"}))
    asked = next(one for one, wanted in REQUESTS if "toolConfig" in wanted and "messages" in one)
    chat(bedrock).create(model="any", **asked)
    _, calls, results = judged(bedrock.asked)["messages"]
    ids = [block["toolUse"]["toolUseId"] for block in calls["content"]]
    assert [block["toolResult"]["toolUseId"] for block in results["content"]] == ids
    assert ids[0].startswith("call_")
    assert ids[0].isascii()
    assert calls["content"][0]["toolUse"]["input"] == {"a": 1}
    assert calls["content"][1]["toolUse"]["input"] == {}
    assert results["content"][1]["toolResult"]["content"] == [{"text": "(no output)"}]


def test_cache_marks_errors_and_images_of_results_reach_bedrock(bedrock: Bench) -> None:
    bedrock.answer(answer({"text": "ok"}))
    mark: Any = {"cache_control": {"type": "ephemeral"}}
    image = {"type": "base64", "media_type": "image/png", "data": PNG}
    messages(bedrock).create(
        model="any",
        max_tokens=9,
        extra_body={"top_k": 4},
        system=[{"type": "text", "text": "Be brief", **mark}],
        tools=[{"name": "f", "input_schema": {"type": "object"}, **mark}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "of another"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "no"},
                            {"type": "image", "source": image},
                        ],
                    },
                    {"type": "text", "text": "and?"},
                ],
            },
        ],
    )
    body = judged(bedrock.asked)
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "Be brief"}, point]
    assert body["toolConfig"]["tools"][1] == point
    first, second, third = body["messages"]
    assert first["content"] == [{"text": "Hi"}, point]
    assert [list(block) for block in second["content"]] == [["toolUse"]]
    result = third["content"][0]["toolResult"]
    assert result["status"] == "error"
    assert [list(block)[0] for block in result["content"]] == ["text", "image"]
    assert third["content"][1] == {"text": "and?"}
    assert body["additionalModelRequestFields"] == {"top_k": 4}


REFUSED = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
                    ],
                }
            ]
        },
        "image_url",
    ),
]


@pytest.mark.parametrize(("asked", "param"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(
    bedrock: Bench, asked: dict[str, Any], param: str
) -> None:
    bedrock.answer()
    with pytest.raises(openai.BadRequestError) as raised:
        chat(bedrock).create(**{"model": "any", "messages": HI, **asked})
    assert raised.value.code == "unsupported_field"
    assert raised.value.param == param
    assert bedrock.upstream.requests == []


def test_what_is_dropped_is_named_or_refused(bedrock: Bench, strict: Bench) -> None:
    bedrock.answer(answer({"text": "ok"}))
    asked = {"model": "any", "messages": HI, "seed": 1, "parallel_tool_calls": False}
    got = bedrock.client.post(f"http://{HOST}/v1/chat/completions", json=asked)
    assert got.headers["x-llm-mesh-dropped"] == "seed, parallel_tool_calls"
    got = strict.client.post(f"http://{HOST}/v1/chat/completions", json=asked)
    assert got.status_code == 400
    assert got.json()["error"]["param"] == "seed"


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


def without_time(events: bytes) -> list[Any]:
    found = []
    for each in events.split(b"\n\n"):
        data = each.removeprefix(b"data: ")
        if data.startswith(b"{"):
            decoded = json.loads(data)
            found.append((decoded.get("choices"), decoded.get("usage"), decoded.get("error")))
        else:
            found.append(data)
    return found


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
