"""Metrics of streams and of the mesh: pace, models, ejections, refusals, requests in progress."""

from __future__ import annotations

import itertools

import pytest

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

CHUNKS = {"chunk_metrics": True}


async def test_a_streams_pace_is_recorded_once(recorder: Recorder, upstream: FakeUpstream) -> None:
    events = chat_stream(["a ", "b ", "c"], include_usage=True)
    upstream.script(Stream([*events[:2], 0.04, *events[2:]]))
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, STREAM)
    (first,) = recorder.points("gen_ai.server.time_to_first_token")
    (pace,) = recorder.points("gen_ai.server.time_per_output_token")
    assert first.count == pace.count == 1
    (whole,) = recorder.points("gen_ai.client.operation.duration")
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
    [(CHAT, 5), ({**STREAM, "messages": [{"role": "user", "content": "a b c"}]}, 8)],
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
