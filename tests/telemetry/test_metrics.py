"""Metrics: their names, units, buckets and attribute sets, and when each of them moves."""

from __future__ import annotations

import itertools

import pytest

from llm_mesh_middleware._telemetry import semconv
from llm_mesh_middleware.observing import Observation
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh

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
    "gen_ai.server.request.duration": ("s", SECONDS),
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
    for name in ("gen_ai.client.operation.duration", "gen_ai.server.request.duration"):
        (point,) = found[name].data.data_points
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


async def test_a_streams_pace_is_recorded_once(recorder: Recorder, upstream: FakeUpstream) -> None:
    events = chat_stream(["a ", "b ", "c"], include_usage=True)
    upstream.script(Stream([*events[:2], 0.04, *events[2:]]))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, STREAM)
    (first,) = recorder.points("gen_ai.server.time_to_first_token")
    (pace,) = recorder.points("gen_ai.server.time_per_output_token")
    assert first.count == pace.count == 1
    (whole,) = recorder.points("gen_ai.server.request.duration")
    assert whole.sum - first.sum >= 0.02  # a busy machine sees the first event late
    assert 0.005 <= pace.sum < 0.2  # the rest of the time over two of the three tokens


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_the_time_of_each_chunk_after_the_first_is_recorded_on_demand(
    recorder: Recorder, upstream: FakeUpstream, size: int
) -> None:
    first, *rest = chat_stream(["a ", "b ", "c"], include_usage=True)
    whole = b"".join(rest)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    upstream.script(Stream([first, 0.04, *pieces]))
    async with calling(make_mesh(recorder, upstream, settings=CHUNKS)) as client:
        answer = await chat(client, STREAM)
    assert answer.content.endswith(b"data: [DONE]\n\n")
    (point,) = recorder.points("gen_ai.client.operation.time_per_output_chunk")
    assert point.count == recorder.call.attributes["llm_mesh.stream.chunk_count"] - 1
    assert 0.02 <= point.max < 1
    assert point.sum < 2
    (operation,) = recorder.points("gen_ai.client.operation.duration")
    told = dict(operation.attributes)
    del told["gen_ai.response.model"]
    assert dict(point.attributes) == told


async def test_chunks_of_one_read_take_no_time_after_the_first_of_them(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    events = chat_stream(["a ", "b ", "c"], include_usage=True)
    upstream.script(Stream([b"".join(events)]))
    async with calling(make_mesh(recorder, upstream, settings=CHUNKS)) as client:
        await chat(client, STREAM)
    (point,) = recorder.points("gen_ai.client.operation.time_per_output_chunk")
    assert point.count == recorder.call.attributes["llm_mesh.stream.chunk_count"] - 1
    assert point.sum < 0.04


async def test_chunks_are_timed_beside_an_observer_of_the_applications(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    class Counting(Observation):
        wants_chunks = True
        count = 0

        def chunks(self, count: int) -> None:
            self.count += count
            raise RuntimeError("a hook")

    counting = Counting()
    upstream.always(Stream(chat_stream(["a ", "b ", "c"])))
    mesh = make_mesh(recorder, upstream, observer=lambda _: counting)
    async with calling(mesh) as client:
        assert (await chat(client, STREAM)).content.endswith(b"data: [DONE]\n\n")
        assert (await chat(client)).status_code == 200
    assert counting.count == recorder.calls[0].attributes["llm_mesh.stream.chunk_count"]
    assert recorder.points("gen_ai.client.operation.time_per_output_chunk") == []


async def test_models_that_clients_invent_are_one(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(200, [], chat_completion("Hi", model="m-1")))
    async with calling(make_mesh(recorder, upstream)) as client:
        for name in ("x", "y\r\nz", "z" * 5000):
            await chat(client, {**CHAT, "model": name})
    (point,) = recorder.points("gen_ai.client.operation.duration")
    assert point.attributes["gen_ai.request.model"] == "_other"
    assert point.count == 3
    (asm,) = recorder.points("asm_llm_proxy_prompt_tokens")
    assert asm.attributes["llmproxy_model"] == "_other"


async def test_models_that_a_provider_names_are_at_most_a_hundred(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    numbers = itertools.count()
    upstream.always(lambda _: Answer(200, [], chat_completion("Hi", model=f"m-{next(numbers)}")))
    async with calling(make_mesh(recorder, upstream)) as client:
        for _ in range(110):
            await chat(client)
    points = recorder.points("gen_ai.client.operation.duration")
    assert len(points) == 101
    (other,) = (p for p in points if p.attributes["gen_ai.response.model"] == "_other")
    assert other.count == 10


async def test_a_provider_that_is_ejected_shows(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Answer(503, [], error_body("down")))
    mesh = make_mesh(recorder, upstream, second)
    async with calling(mesh) as client:
        for number in range(12):
            await chat(client, {**CHAT, "user": f"u-{number}"})
        shown = {
            p.attributes["server.address"]: p.value
            for p in recorder.points("llm_mesh.providers.ejected")
        }
        states = {host: int(s.state != "healthy") for host, s in mesh.health().items()}
    assert shown == states == {"a.example": 1, "b.example": 0}


async def test_requests_are_counted_by_rule_and_model_and_refused_ones_by_their_error(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream, config={"model": "m-2"})) as client:
        await chat(client)
        await chat(client, STREAM)
        upstream.always(Answer(400, [], error_body("no")))
        await chat(client)
        await client.post("/v1/unknown", json=CHAT)
    rule = {"llm_mesh.route.name": "main", "llm_mesh.rule.name": "all"}
    served = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-2", **rule}
    points = {
        frozenset(point.attributes.items()): point.value
        for point in recorder.points("llm_mesh.requests")
    }
    assert points == {
        frozenset(served.items()): 2,
        frozenset({**served, "error.type": "400"}.items()): 1,
        frozenset(
            {
                "gen_ai.operation.name": "_other",
                "error.type": "unsupported_operation",
            }.items()
        ): 1,
    }


async def test_active_requests_go_up_and_down(recorder: Recorder, upstream: FakeUpstream) -> None:
    during: list[float] = []
    upstream.always(lambda _: during.append(recorder.total("llm_mesh.requests.active")) or None)  # type: ignore[func-returns-value]
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
        await client.post("/v1/unknown", json=CHAT)
    assert during == [1]
    assert recorder.total("llm_mesh.requests.active") == 0
    assert recorder.total("http.server.active_requests") == 0


@pytest.mark.parametrize(
    ("body", "count"),
    [(CHAT, 6), ({**STREAM, "messages": [{"role": "user", "content": "a b c"}]}, 9)],
)
async def test_what_costs_time_is_recorded_a_few_times_a_call_and_never_for_a_chunk(
    recorder: Recorder, upstream: FakeUpstream, body: dict[str, object], count: int
) -> None:
    """A measurement takes 15 us; what is only added up is looked at when somebody collects."""
    words = ["word "] * 200
    whole = Answer(200, [], chat_completion("Hi"))
    events = Stream(chat_stream(words, include_usage=True))
    upstream.always(events if "stream" in body else whole)
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, body)
    points = [p for metric in recorder.metrics().values() for p in metric.data.data_points]
    assert sum(getattr(point, "count", 0) for point in points) == count
    assert len(recorder.spans) == 2
