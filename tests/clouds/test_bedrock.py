"""Requests of other dialects to Bedrock's Converse; botocore judges what is sent."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.converse import HI, SECRET, TOOL, answer, chat, judged, messages

PNG = b64encode(b"\x89PNG").decode()


@pytest.fixture(scope="module")
def strict() -> Iterator[Bench]:
    config = {"region": "r", "apiKey": SECRET, "unsupportedFields": "reject", "model": "m"}
    with bench({"bedrockConfig": config}) as made:
        yield made


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
