"""The span of a call: its name, and what it tells of request and answer."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, StatusCode, TraceState
from opentelemetry.util.types import Attributes

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    chat_completion,
)
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh, nothing

ASKED = {
    **CHAT,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "max_completion_tokens": 64,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "seed": 7,
    "n": 2,
    "stop": ["END"],
    "reasoning_effort": "low",
    "service_tier": "flex",
    "response_format": {"type": "json_schema", "json_schema": {}},
}
ANSWERED = {
    **chat_completion(
        "Hi",
        model="m-1-2026",
        id="chatcmpl-7",
        usage={
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 2},
        },
    ),
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}


async def test_the_span_has_all_that_request_and_answer_carry(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(200, [("x-request-id", "req-9")], ANSWERED))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, ASKED)
    span = recorder.call
    assert span.name == "chat m-1"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    found = dict(span.attributes)
    assert 0 < found.pop("llm_mesh.overhead.duration") < 5
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "a",
        "gen_ai.request.model": "m-1",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "chatcmpl-7",
        "gen_ai.response.model": "m-1-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "gen_ai.usage.audio.input_tokens": 3,
        "gen_ai.usage.audio.output_tokens": 2,
        "openai.api.type": "chat_completions",
        "openai.request.service_tier": "flex",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_1",
        "server.address": "a.example",
        "server.port": upstream.port,
        "http.response.status_code": 200,
        "llm_mesh.virtual_host": "llm",
        "llm_mesh.route.name": "main",
        "llm_mesh.rule.name": "all",
        "llm_mesh.provider.name": "a",
        "llm_mesh.request.model": "m-1",
        "llm_mesh.attempt.count": 1,
        "llm_mesh.usage.source": "provider",
        "llm_mesh.upstream.request_id": "req-9",
    }


@pytest.mark.parametrize(
    ("member", "value", "attribute", "told"),
    [
        ("stop", "END", "gen_ai.request.stop_sequences", ("END",)),
        ("n", 1, "gen_ai.request.choice.count", None),
        ("service_tier", "auto", "openai.request.service_tier", None),
        ("stream", False, "gen_ai.request.stream", None),
        ("temperature", "hot", "gen_ai.request.temperature", None),
        ("top_k", 2.5, "gen_ai.request.top_k", None),
        ("response_format", {"type": "text"}, "gen_ai.output.type", "text"),
        ("response_format", "json", "gen_ai.output.type", None),
        ("modalities", ["text", "audio"], "gen_ai.output.type", "speech"),
        ("text", {"format": {"type": "json_schema"}}, "gen_ai.output.type", "json"),
        ("reasoning", {"effort": "high"}, "gen_ai.request.reasoning.level", "high"),
        ("conversation", "conv-1", "gen_ai.conversation.id", "conv-1"),
        ("conversation", {"id": "conv-2"}, "gen_ai.conversation.id", "conv-2"),
        ("previous_response_id", "resp-1", "gen_ai.request.previous_response.id", "resp-1"),
        ("prompt", {"id": "pmpt-1", "version": "2"}, "gen_ai.prompt.name", "pmpt-1"),
        ("prompt", {"id": "pmpt-1", "version": "2"}, "gen_ai.prompt.version", "2"),
        ("prompt", {"id": "pmpt-1"}, "gen_ai.prompt.version", None),
        ("prompt", "Good morning", "gen_ai.prompt.name", None),
        ("reasoning_effort", "x" * 999, "gen_ai.request.reasoning.level", "x" * 256),
    ],
)
async def test_a_parameter_is_told_if_it_says_something(
    recorder: Recorder,
    upstream: FakeUpstream,
    member: str,
    value: object,
    attribute: str,
    told: object,
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, {**CHAT, member: value})
    assert recorder.call.attributes.get(attribute) == told


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/completions", {"model": "m-1", "prompt": "Hi"}, "text_completion m-1"),
        ("/v1/embeddings", {"model": "m-1", "input": "Hi"}, "embeddings m-1"),
        ("/v1/responses", {"model": "m-1", "input": "Hi"}, "responses m-1"),
    ],
)
async def test_every_operation_has_its_name(
    recorder: Recorder, upstream: FakeUpstream, path: str, body: object, name: str
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await client.post(path, json=body)).status_code == 200
    assert recorder.call.name == name
    assert recorder.call.attributes["gen_ai.usage.input_tokens"] == 1
    has_output = "gen_ai.usage.output_tokens" in recorder.call.attributes
    assert has_output == (not name.startswith("embeddings"))


async def test_alias_and_resolved_model_are_both_told(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream, config={"model": "real-1"})) as client:
        await chat(client, {**CHAT, "model": "alias"})
    assert recorder.call.name == "chat real-1"
    assert recorder.call.attributes["gen_ai.request.model"] == "real-1"
    assert recorder.call.attributes["llm_mesh.request.model"] == "alias"


async def test_a_models_name_cannot_be_a_long_or_broken_span_name(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, {**CHAT, "model": "x\r\n" + "y" * 5000})
    assert recorder.call.name.isprintable()
    assert len(recorder.call.name) < 1000
    assert len(recorder.call.attributes["gen_ai.request.model"]) == 256


class SeeingSampler(Sampler):
    """Records what there is to decide on."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, object]] = {}

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        self.seen[name] = dict(attributes or {})
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "sees"


async def test_a_sampler_can_decide_by_operation_provider_model_and_server(
    upstream: FakeUpstream,
) -> None:
    sampler = SeeingSampler()
    recorder = Recorder(sampler)
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client)).status_code == 200
    seen = sampler.seen["chat m-1"]
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "a",
        "gen_ai.request.model": "m-1",
        "server.address": "a.example",
        "server.port": upstream.port,
    }.items() <= seen.items()
    assert recorder.spans == ()
    assert recorder.total("gen_ai.client.token.usage", gen_ai__token__type="output") == 4
    assert len(recorder.events("llm_mesh.request")) == 1


@pytest.mark.parametrize(
    ("body", "is_told"),
    [
        (STREAM, True),
        ({**STREAM, "stream_options": {"include_usage": True}}, False),
        (CHAT, False),
    ],
)
async def test_that_the_mesh_asked_for_the_token_counts_is_told(
    recorder: Recorder, upstream: FakeUpstream, body: dict[str, object], is_told: bool
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, body)
    assert recorder.call.attributes.get("llm_mesh.usage.injected", False) is is_told
    assert recorder.call.attributes["llm_mesh.usage.source"] == "provider"


async def test_what_the_application_says_of_a_request_is_on_the_span_and_on_no_metric(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    facts = {"plan": "pro", "note": "x" * 1000} | {f"n{n}": "1" for n in range(100)}
    mesh = make_mesh(recorder, upstream)
    app = LLMMeshMiddleware(nothing, mesh=mesh, attributes=lambda scope: facts)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://llm") as client:
        await chat(client)
    await mesh.aclose()
    told = {k: v for k, v in recorder.call.attributes.items() if "llm_mesh.attribute." in k}
    assert told["llm_mesh.attribute.plan"] == "pro"
    assert len(told["llm_mesh.attribute.note"]) == 256
    assert len(told) == 16
    assert "llm_mesh.attribute" not in recorder.reader.get_metrics_data().to_json()


@pytest.mark.parametrize("name", ["user.id", "session.id"])
async def test_attributes_with_a_name_in_the_conventions_keep_it(
    recorder: Recorder, upstream: FakeUpstream, name: str
) -> None:
    mesh = make_mesh(recorder, upstream)
    with mesh.attributes(**{name: "u-17"}):
        async with calling(mesh) as client:
            await chat(client)
    assert recorder.call.attributes[name] == "u-17"
    assert f"llm_mesh.attribute.{name}" not in recorder.call.attributes
    assert "u-17" not in recorder.reader.get_metrics_data().to_json()
