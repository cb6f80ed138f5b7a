"""What is told of calls whose client and provider speak different dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware._telemetry.metrics.limited_names import FieldNames
from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.telemetry.recording import HOST, KEY, Recorder, calling, route
from tests.translation.messages_shapes import message, text

HI = [{"role": "user", "content": "hi"}]
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "m", "messages": HI, "seed": 7}),
    "responses": ("/v1/responses", {"model": "m", "input": "hi"}),
    "generate_content": (
        "/v1beta/models/m:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"topP": 0.5, "seed": 7}},
    ),
}
ANTHROPIC = {"anthropicConfig": {"apiKey": KEY, "model": "claude"}}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 2},
    "modelVersion": "g-1",
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokens": 3},
    "metrics": {"latencyMs": 1},
}
OLLAMA = {
    "model": "q",
    "message": {"role": "assistant", "content": "Hi"},
    "done": True,
    "prompt_eval_count": 5,
    "eval_count": 7,
}
PLACE = {"project": "p", "location": "l", "accessToken": KEY}
SIBLINGS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[int, int]]] = [
    ("anthropic", ANTHROPIC, message(text("Hi")), (12, 7)),
    ("gcp.gemini", {"geminiConfig": {"apiKey": KEY, "model": "g"}}, GEMINI, (5, 9)),
    ("gcp.vertex_ai", {"geminiConfig": {"model": "g", "vertex": PLACE}}, GEMINI, (5, 9)),
    (
        "gcp.vertex_ai",
        {"anthropicConfig": {"model": "claude", "vertex": PLACE}},
        message(text("Hi")),
        (12, 7),
    ),
    (
        "aws.bedrock",
        {"bedrockConfig": {"model": "c", "region": "r", "apiKey": KEY}},
        BEDROCK,
        (8, 7),
    ),
    ("ollama", {"ollamaConfig": {"apiKey": KEY, "model": "c"}}, OLLAMA, (5, 7)),
]


def make_mesh(recorder: Recorder, upstream: FakeUpstream, config: Mapping[str, Any]) -> Mesh:
    spec = {
        "host": "a.example",
        "endpoint": upstream.url,
        "configs": {"defaultConfig": config},
    }
    provider = LLMProvider.model_validate({"metadata": {"name": "a"}, "spec": spec})
    return Mesh(
        [provider, route("a.example")],
        settings=MeshSettings(),
        tracer_provider=recorder.tracers,
        meter_provider=recorder.meters,
    )


@pytest.mark.parametrize(("vendor", "config", "answer", "counted"), SIBLINGS)
@pytest.mark.parametrize("operation", ASKS)
async def test_a_translated_call_is_told_by_the_clients_operation_and_the_providers_vendor(
    recorder: Recorder,
    upstream: FakeUpstream,
    vendor: str,
    config: dict[str, Any],
    answer: dict[str, Any],
    counted: tuple[int, int],
    operation: str,
) -> None:
    if vendor == "gcp.gemini" and operation == "generate_content":
        operation = "chat"  # it would not be translated
    upstream.always(Answer(200, body=answer))
    path, body = ASKS[operation]
    async with calling(make_mesh(recorder, upstream, config)) as client:
        assert (await client.post(path, json=body)).status_code == 200
    told = recorder.call.attributes
    assert told["gen_ai.operation.name"] == operation
    assert told["gen_ai.provider.name"] == vendor
    assert told["gen_ai.request.model"] in ("claude", "g", "c")
    tokens = told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]
    assert tokens == counted
    (point,) = recorder.points("gen_ai.client.operation.duration")
    assert point.attributes["gen_ai.provider.name"] == vendor


async def test_each_dropped_field_is_counted_once_for_a_call(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(200, body=message(text("Hi"))))
    path, body = ASKS["chat"]
    async with calling(make_mesh(recorder, upstream, ANTHROPIC)) as client:
        for _ in range(2):
            got = await client.post(path, json=body | {"logit_bias": {"1": 2}})
            assert got.headers["x-llm-mesh-dropped"] == "seed, logit_bias"
        await client.post(path, json={"messages": HI})
    points = recorder.points("llm_mesh.dialect.dropped")
    assert {p.attributes["llm_mesh.dialect.field"]: p.value for p in points} == {
        "seed": 2,
        "logit_bias": 2,
    }
    told = [span.attributes.get("llm_mesh.dialect.dropped") for span in recorder.calls]
    assert told == [("seed", "logit_bias")] * 2 + [None]


async def test_parameters_of_a_gemini_request_have_the_conventions_names(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(200, body=message(text("Hi"))))
    path, body = ASKS["generate_content"]
    async with calling(make_mesh(recorder, upstream, ANTHROPIC)) as client:
        await client.post(path, json=body)
    told = recorder.call.attributes
    assert (told["gen_ai.request.top_p"], told["gen_ai.request.seed"]) == (0.5, 7)
    assert told["llm_mesh.virtual_host"] == HOST


def test_a_metric_has_a_limited_number_of_fields() -> None:
    names = FieldNames()
    assert names.labels(["tools[0]", "tools[1]", "x" * 65]) == {"tools", "_other"}
    assert names.labels(f"f{number}" for number in range(200)) >= {"f0", "f98", "_other"}
    assert names.labels(["f99", "f0"]) == {"_other", "f0"}
