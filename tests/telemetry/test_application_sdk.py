"""What an application's own SDK gets: spans that have ended, and measurements in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from llm_mesh_middleware._telemetry.metrics import instruments
from llm_mesh_middleware._telemetry.owned.deferred_tracer import DeferredTracer
from llm_mesh_middleware._telemetry.owned.registry import adopted_tracer
from llm_mesh_middleware._telemetry.owned.tracers import adopt_tracers
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.telemetry.recording import Recorder, calling, chat, make_mesh

DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"


def tracer_of(provider: TracerProvider) -> Tracer:
    adopt_tracers(provider)
    return adopted_tracer(provider, provider.get_tracer("scope"))


async def test_a_batch_and_its_exporter_stay_those_of_the_application(
    upstream: FakeUpstream,
) -> None:
    exporter = InMemorySpanExporter()
    batch = BatchSpanProcessor(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(batch)
    upstream.script(Answer(200, [], chat_completion("Hi")))
    async with calling(make_mesh(None, upstream, tracer_provider=provider)) as client:
        await chat(client)
    provider.force_flush()
    (span,) = [span for span in exporter.get_finished_spans() if span.name == "chat m-1"]
    assert span.attributes is not None
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert batch.span_exporter is exporter
    provider.shutdown()


class Late(SpanProcessor):
    """Reads a span just before it ends."""

    def _on_ending(self, span: Any) -> None:
        span.set_attribute("late", True)


class Composite(SynchronousMultiSpanProcessor):
    """A composite of the application."""


def with_late_reader() -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Late())
    return provider


@pytest.mark.parametrize(
    "make",
    [
        with_late_reader,
        lambda: TracerProvider(shutdown_on_exit=False, active_span_processor=Composite()),
        lambda: TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_links=1)),
    ],
    ids=["late", "composite", "limits"],
)
def test_the_sdk_makes_spans_that_others_could_tell_apart(
    make: Callable[[], TracerProvider],
) -> None:
    assert not isinstance(tracer_of(make()), DeferredTracer)


def test_processors_in_parallel_get_spans() -> None:
    provider = TracerProvider(
        shutdown_on_exit=False, active_span_processor=ConcurrentMultiSpanProcessor()
    )
    exporter = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = tracer_of(provider)
    assert isinstance(tracer, DeferredTracer)
    tracer.start_span("told").end()
    provider.force_flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["told"]
    provider.shutdown()


def test_a_resource_that_changes_is_followed() -> None:
    """As after a fork, in which processes get attributes of their own."""
    recorder = Recorder()
    tracer = tracer_of(recorder.tracers)
    if not hasattr(recorder.tracers, "_update_resource"):
        pytest.skip("resources do not change in this release of the SDK")
    recorder.tracers._update_resource(Resource({"process.pid": 7}))
    tracer.start_span("after").end()
    (span,) = recorder.spans
    assert span.resource.attributes["process.pid"] == 7


def test_a_tracer_that_is_switched_off_makes_no_spans() -> None:
    recorder = Recorder()
    tracer = tracer_of(recorder.tracers)
    sdk = recorder.tracers.get_tracer("scope")
    if not hasattr(sdk, "_tracer_config"):
        pytest.skip("this release of the SDK cannot switch tracers off")
    sdk._set_tracer_config(type(sdk._tracer_config)(is_enabled=False))  # type: ignore[attr-defined]
    tracer.start_span("unseen").end()
    assert recorder.spans == ()


async def many_calls(upstream: FakeUpstream, recorder: Recorder, count: int) -> None:
    upstream.script(*[Answer(200, [], chat_completion("Hi"))] * count)
    async with calling(make_mesh(recorder, upstream)) as client:
        await asyncio.gather(*(chat(client) for _ in range(count)))


@pytest.mark.parametrize("count", [1, 2, 8, 21])
async def test_what_is_collected_is_all_there_is(upstream: FakeUpstream, count: int) -> None:
    """Batches are full or not; readers get the rest first."""
    recorder = Recorder()
    await many_calls(upstream, recorder, count)
    found = recorder.metrics()
    (duration,) = found[DURATION].data.data_points
    assert duration.count == count
    assert [point.count for point in found[TOKENS].data.data_points] == [count, count]
    spans = {span.context.span_id for span in recorder.calls}
    assert duration.exemplars
    assert {exemplar.span_id for exemplar in duration.exemplars} <= spans


async def test_a_lone_call_is_recorded_at_once(upstream: FakeUpstream) -> None:
    """An exemplar has the time of its record, which is that of the call."""
    recorder = Recorder()
    await many_calls(upstream, recorder, 1)
    after = time.time_ns()
    await asyncio.sleep(0.05)
    (point,) = recorder.metrics()[DURATION].data.data_points
    assert [exemplar.time_unix_nano <= after for exemplar in point.exemplars] == [True]


class Broken(Exception):
    """A fault of the application's SDK."""


async def test_a_value_that_the_sdk_refuses_costs_no_other(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    await many_calls(upstream, recorder, 3)
    sdk: Any = type(recorder.meters.get_meter("any").create_histogram("any"))
    record = sdk.record

    def refusing(self: Any, amount: float, *args: Any) -> None:
        if self.name == DURATION:
            raise Broken
        record(self, amount, *args)

    monkeypatch.setattr(sdk, "record", refusing)
    await many_calls(upstream, recorder, 3)
    found = recorder.metrics()
    assert found[DURATION].data.data_points[0].count < 6
    assert [point.count for point in found[TOKENS].data.data_points] == [6, 6]
    assert sum(point.value for point in found["llm_mesh.requests"].data.data_points) == 6
    assert "Broken" in caplog.text


def test_readers_of_a_provider_without_calls_get_nothing() -> None:
    reader = InMemoryMetricReader()
    instruments.MeshMetrics(
        MeterProvider([reader], shutdown_on_exit=False).get_meter("scope"),
        generations=frozenset(("known",)),
    )
    data = reader.get_metrics_data()
    names = [
        metric.name
        for resource in ([] if data is None else data.resource_metrics)
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    assert DURATION not in names
