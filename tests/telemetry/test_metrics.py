"""Metrics of a call: their names, units, buckets and attributes, its tokens and errors."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._telemetry import semconv
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.telemetry.recording import STREAM, Recorder, calling, chat, make_mesh

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


SECONDS, FIRST_TOKEN, PER_TOKEN, TOKENS, HTTP, OVERHEAD = (
    (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5),
    (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)


HISTOGRAMS = {
    "gen_ai.client.operation.duration": ("s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS),
    "gen_ai.client.operation.time_per_output_chunk": ("s", SECONDS),
    "gen_ai.client.token.usage": ("{token}", TOKENS),
    "gen_ai.client.inference.duration": ("s", SECONDS),
    "gen_ai.client.inference.time_to_first_chunk": ("s", SECONDS),
    "gen_ai.client.inference.time_per_output_chunk": ("s", SECONDS),
    "gen_ai.client.inference.operation.input_tokens": ("{token}", TOKENS),
    "gen_ai.client.inference.operation.output_tokens": ("{token}", TOKENS),
    "gen_ai.server.time_to_first_token": ("s", FIRST_TOKEN),
    "gen_ai.server.time_per_output_token": ("s", PER_TOKEN),
    "http.server.request.duration": ("s", HTTP),
    "llm_mesh.overhead.duration": ("s", OVERHEAD),
}


CHUNKS = {"chunk_metrics": True}
COUNTS = {
    "gen_ai.client.inference.usage.input_tokens": "{token}",
    "gen_ai.client.inference.usage.output_tokens": "{token}",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "{token}",
    "gen_ai.client.inference.usage.cache_write.input_tokens": "{token}",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "{token}",
    "asm_llm_proxy_prompt_tokens": "{token}",
    "asm_llm_proxy_completion_tokens": "{token}",
    "http.server.active_requests": "{request}",
    "llm_mesh.requests": "{request}",
    "llm_mesh.requests.active": "{request}",
    "llm_mesh.requests.without_usage": "{request}",
    "llm_mesh.attempts": "{attempt}",
    "llm_mesh.fallbacks": "{fallback}",
    "llm_mesh.sticky.missing": "{request}",
    "llm_mesh.dialect.dropped": "{field}",
    "llm_mesh.providers.ejected": "{provider}",
    "llm_mesh.config.reloads": "{reload}",
    "llm_mesh.config.generation": "{generation}",
    "llm_mesh.config.last_success": "s",
}


KNOWN = {name for name in HISTOGRAMS if "client.operation" in name or "token.usage" in name}


LATEST = {name for name in HISTOGRAMS if "client.inference" in name}


async def test_every_metric_is_there_with_its_unit_and_its_buckets(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(OPT_IN, "http,gen_ai_latest_experimental/dup")
    given = {**chat_completion(), "usage": None}
    upstream.script(Answer(503, [], error_body("down")), Answer(200, [], given))
    sticky = {"stickyBy": {"header": "x-user"}}
    mesh = make_mesh(recorder, upstream, second, settings=CHUNKS, rule=sticky)
    mesh.reload()
    async with calling(mesh) as client:
        await chat(client, STREAM)
        await chat(client)
        await client.post("/v1/messages", json={"messages": [], "max_tokens": 1, "top_k": 1})
    found = recorder.metrics()
    assert set(found) == set(HISTOGRAMS) | set(COUNTS)
    for name, (unit, buckets) in HISTOGRAMS.items():
        assert found[name].unit == unit, name
        assert found[name].data.data_points[0].explicit_bounds == buckets, name
    assert {name: found[name].unit for name in COUNTS} == COUNTS


def test_every_metric_of_the_conventions_module_is_tested_here() -> None:
    names = {value for name, value in vars(semconv).items() if isinstance(value, str)}
    metrics = {name for name in names if name.startswith(("gen_ai.client.", "gen_ai.server."))}
    events = {semconv.EVENT_DETAILS, semconv.EVENT_EXCEPTION}
    assert metrics - events <= set(HISTOGRAMS) | set(COUNTS)


@pytest.mark.parametrize(
    ("opt_in", "wanted"),
    [
        ("", KNOWN),
        ("http/dup", KNOWN),
        ("gen_ai_latest_experimental", LATEST),
        ("http, gen_ai_latest_experimental/dup", KNOWN | LATEST),
    ],
)
async def test_the_generation_of_names_is_the_operators_choice(
    recorder: Recorder,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    opt_in: str,
    wanted: set[str],
) -> None:
    monkeypatch.setenv(OPT_IN, opt_in)
    async with calling(make_mesh(recorder, upstream, settings=CHUNKS)) as client:
        await chat(client, STREAM)
    assert set(recorder.metrics()) & (KNOWN | LATEST) == wanted


async def test_a_call_is_recorded_under_one_set_of_attributes(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(200, [], chat_completion("Hi", model="m-1-2026")))
    async with calling(make_mesh(recorder, upstream, config={"model": "m-1"})) as client:
        await chat(client)
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "a",
        "gen_ai.request.model": "m-1",
        "gen_ai.response.model": "m-1-2026",
        "server.address": "a.example",
        "server.port": upstream.port,
        "llm_mesh.route.name": "main",
    }
    found = recorder.metrics()  # collected once: exemplars are there once
    (point,) = found["gen_ai.client.operation.duration"].data.data_points
    assert dict(point.attributes) == common
    assert point.count == 1
    assert point.exemplars[0].span_id == recorder.call.context.span_id
    tokens = {
        p.attributes["gen_ai.token.type"]: p for p in recorder.points("gen_ai.client.token.usage")
    }
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 1, "output": 1}
    assert dict(tokens["input"].attributes) == common | {"gen_ai.token.type": "input"}
    (counted,) = recorder.points("gen_ai.client.inference.usage.input_tokens")
    assert dict(counted.attributes) == common | {"gen_ai.token.modality": "unknown"}


async def test_asms_counters_have_its_four_labels(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    settings = {"labels": "app=web,version=v1", "namespace": "shop"}
    mesh = make_mesh(recorder, upstream, config={"model": "m-1"}, settings=settings)
    async with calling(mesh) as client:
        await chat(client)
        await chat(client, STREAM)
    (prompt,) = recorder.points("asm_llm_proxy_prompt_tokens")
    assert dict(prompt.attributes) == {
        "llmproxy_source_workload": "web",
        "llmproxy_source_workload_namespace": "shop",
        "llmproxy_destination_service": "a.example",
        "llmproxy_model": "m-1",
    }
    assert prompt.value == 4
    assert recorder.total("asm_llm_proxy_completion_tokens") == 8


async def test_asms_counters_can_be_left_out(recorder: Recorder, upstream: FakeUpstream) -> None:
    mesh = make_mesh(recorder, upstream, settings={"asm_metrics": False})
    async with calling(mesh) as client:
        await chat(client)
    assert not {name for name in recorder.metrics() if name.startswith("asm_")}
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") > 0


async def test_an_error_is_told_on_durations_alone(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(400, [], error_body("no")))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
    (point,) = recorder.points("gen_ai.client.operation.duration")
    assert point.attributes["error.type"] == "400"
    (overhead,) = recorder.points("llm_mesh.overhead.duration")
    assert dict(overhead.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "_other",
        "llm_mesh.route.name": "main",
    }
    assert recorder.points("gen_ai.client.token.usage") == []
    assert recorder.points("llm_mesh.requests.without_usage") == []
    (counted,) = recorder.points("gen_ai.client.inference.usage.input_tokens")
    assert counted.value == 0
    assert "error.type" not in counted.attributes
    (served,) = recorder.points("http.server.request.duration")
    assert dict(served.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 400,
        "http.route": "/chat/completions",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, [], {"choices": [{"index": 0, "finish_reason": "stop"}]}),
        Answer(200, [], {"choices": [], "usage": None}),
        Answer(200, [], {"choices": [], "usage": {"total_tokens": 3}}),
        Answer(200, [], {"choices": [], "usage": {"prompt_tokens": "many"}}),
        Stream(chat_stream(["a"])),
    ],
)
async def test_an_answer_that_counts_nothing_is_counted_as_such(
    recorder: Recorder, upstream: FakeUpstream, answer: Answer | Stream
) -> None:
    upstream.script(answer)
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client, STREAM)).status_code == 200
    assert recorder.total("llm_mesh.requests.without_usage") == 1
    assert recorder.points("gen_ai.client.token.usage") == []
    assert recorder.points("asm_llm_proxy_prompt_tokens") == []
    assert recorder.call.attributes["llm_mesh.usage.source"] == "none"
    for name in semconv.USAGE_COUNTERS.values():
        (point,) = recorder.points(name)
        assert (point.value, point.attributes["gen_ai.token.modality"]) == (0, "unknown")


async def test_an_embedding_has_input_tokens_only(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await client.post("/v1/embeddings", json={"model": "m-1", "input": "a b c"})
    (point,) = recorder.points("gen_ai.client.token.usage")
    assert point.attributes["gen_ai.token.type"] == "input"
    assert point.attributes["gen_ai.operation.name"] == "embeddings"
    assert point.sum == 3


async def test_a_list_of_models_counts_no_tokens_and_misses_none(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await client.get("/v1/models")).status_code == 200
    assert recorder.points("llm_mesh.requests.without_usage") == []
    assert recorder.points("gen_ai.client.token.usage") == []
    assert recorder.points("gen_ai.client.inference.usage.input_tokens") == []
