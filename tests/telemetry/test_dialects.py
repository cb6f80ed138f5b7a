"""What is told of calls whose client and provider speak different dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware._telemetry.metrics.limited_names import FieldNames
from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.telemetry.recording import HOST, KEY, Recorder, calling, route
from tests.translation.dialect_table import PROVIDERS
from tests.translation.messages_shapes import message, text
from tests.translation.spoken.rows import INPUT, OUTPUT, Part

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
PLACE = {"project": "p", "location": "l", "accessToken": KEY}
# Providers that another vendor hosts, and those of the table that have a vendor of their own.
VERTEX: list[tuple[str, str, dict[str, Any]]] = [
    ("gcp.vertex_ai", "gemini", {"geminiConfig": {"model": "g", "vertex": PLACE}}),
    ("gcp.vertex_ai", "messages", {"anthropicConfig": {"model": "g", "vertex": PLACE}}),
]
OWN = [(one.vendor, name, dict(one.config)) for name, one in PROVIDERS.items() if one.vendor]


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


@pytest.mark.parametrize(("vendor", "dialect", "config"), [*OWN, *VERTEX])
@pytest.mark.parametrize("operation", ASKS)
async def test_a_translated_call_is_told_by_the_clients_operation_and_the_providers_vendor(
    recorder: Recorder,
    upstream: FakeUpstream,
    vendor: str,
    dialect: str,
    config: dict[str, Any],
    operation: str,
) -> None:
    if vendor == "gcp.gemini" and operation == "generate_content":
        operation = "chat"  # it would not be translated
    upstream.always(PROVIDERS[dialect].whole(Part()))
    path, body = ASKS[operation]
    async with calling(make_mesh(recorder, upstream, config)) as client:
        assert (await client.post(path, json=body)).status_code == 200
    told = recorder.call.attributes
    assert told["gen_ai.operation.name"] == operation
    assert told["gen_ai.provider.name"] == vendor
    (settings,) = config.values()
    assert told["gen_ai.request.model"] == settings["model"]
    tokens = told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]
    assert tokens == (INPUT, OUTPUT)
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


async def test_what_of_a_response_is_dropped_is_told_like_a_field(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(200, body=message({"type": "tomorrow"}, text("Hi"))))
    path, body = ASKS["chat"]
    async with calling(make_mesh(recorder, upstream, ANTHROPIC)) as client:
        await client.post(path, json=body)
    points = recorder.points("llm_mesh.dialect.dropped")
    told = {point.attributes["llm_mesh.dialect.field"]: point.value for point in points}
    assert told == {"seed": 1, "response.block": 1}
    assert recorder.call.attributes["llm_mesh.dialect.dropped"] == ("seed", "response.block")


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
