"""Spans and histograms of ours are those of the SDK."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from llm_mesh_middleware._telemetry.owned.adoption import adopt
from llm_mesh_middleware._telemetry.owned.deferred_tracer import DeferredTracer
from llm_mesh_middleware._telemetry.owned.histograms import OwnHistogram
from llm_mesh_middleware._telemetry.owned.registry import adopted_bank, adopted_tracer
from llm_mesh_middleware._telemetry.owned.tracers import adopt_tracers
from llm_mesh_middleware.testing import Answer, FakeUpstream, Stream, chat_completion
from llm_mesh_middleware.testing import chat_stream as events
from tests.conftest import slow
from tests.telemetry.recording import STREAM, calling, chat, make_mesh

RESOURCE = Resource.create({"service.name": "conformance"})
BOUNDS = (0.01, 0.1, 1.0, 10.0)
CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
MANY = pytest.mark.parametrize("calls", [300, *slow(10_000)])
_TIMES = ("start_time_unix_nano", "time_unix_nano", "start_time", "end_time", "timestamp")


class Ids(IdGenerator):
    """The same ids each time."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(63) + 1

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(127) + 1

    def is_trace_id_random(self) -> bool:
        return True


def tracers(sampler: Sampler = ALWAYS_ON, **options: Any) -> tuple[TracerProvider, Any]:
    """A provider, and the exporter of what it ends."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=sampler,
        resource=RESOURCE,
        id_generator=Ids(),
        shutdown_on_exit=False,
        **options,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def plain(value: Any) -> Any:
    """`value` from JSON, without what a clock has written."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in _TIMES}
    return [plain(each) for each in value] if isinstance(value, list) else value


def exported(exporter: Any) -> list[Any]:
    return [plain(json.loads(span.to_json())) for span in exporter.get_finished_spans()]


def parent(draw: random.Random) -> Context:
    if draw.random() < 0.3:
        return Context()
    flags = TraceFlags(draw.choice([0, 1, 2, 3]))
    found = SpanContext(draw.getrandbits(127) + 1, draw.getrandbits(63) + 1, True, flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(found), Context())


def attributes(draw: random.Random) -> dict[str, Any]:
    values: list[Any] = ["text", 7, 0.5, True, ("a", "b"), "ä\n", ""]
    return {f"name.{draw.randrange(30)}": draw.choice(values) for _ in range(draw.randrange(25))}


def act(tracer: trace.Tracer, draw: random.Random) -> None:
    """One span with a random life."""
    links = [Link(SpanContext(1, 2, True))] if draw.random() < 0.2 else []
    kind = draw.choice([SpanKind.CLIENT, SpanKind.SERVER])
    span = tracer.start_span(
        f"chat {draw.randrange(5)}", parent(draw), kind, attributes(draw), links
    )
    if draw.random() < 0.8:
        span.set_attributes(attributes(draw))
    span.set_attribute("one", draw.randrange(9))
    if draw.random() < 0.2:
        span.add_event("happened", {"a": 1})
    if draw.random() < 0.3:
        span.set_status(Status(draw.choice(list(StatusCode))))
        span.set_status(StatusCode.ERROR, "why")
    if draw.random() < 0.1:
        span.update_name("renamed")
    span.end()


def adopt_all(provider: TracerProvider) -> None:
    adopt(MeterProvider(shutdown_on_exit=False), provider, {})


@MANY
@pytest.mark.parametrize("adopted", [adopt_all, adopt_tracers])
@pytest.mark.parametrize(
    "sampler",
    [
        ALWAYS_ON,
        ALWAYS_OFF,
        ParentBased(ALWAYS_ON),
        ParentBased(TraceIdRatioBased(0.3)),
    ],
    ids=lambda sampler: sampler.get_description(),
)
def test_spans_are_those_of_the_sdk(
    sampler: Sampler, adopted: Callable[[TracerProvider], None], calls: int
) -> None:
    found = []
    for is_adopted in (False, True):
        provider, exporter = tracers(sampler)
        if is_adopted:
            adopted(provider)
        tracer = adopted_tracer(
            provider, provider.get_tracer("scope", "1", "https://schema.example")
        )
        assert isinstance(tracer, DeferredTracer) is is_adopted
        draw = random.Random(11)
        for _ in range(calls // 10):
            act(tracer, draw)
        found.append(exported(exporter))
        scopes = {span.instrumentation_scope for span in exporter.get_finished_spans()}
        assert {scope.name for scope in scopes} <= {"scope"}
    assert found[0] == found[1]


@MANY
@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_histograms_are_those_of_the_sdk(temporality: AggregationTemporality, calls: int) -> None:
    found = []
    for is_adopted in (False, True):
        readers = [InMemoryMetricReader({Histogram: kind}) for kind in (temporality, CUMULATIVE)]
        provider = MeterProvider(
            readers, RESOURCE, shutdown_on_exit=False, **({} if is_adopted else NO_EXEMPLARS())
        )
        if is_adopted:
            adopt(provider, TracerProvider(shutdown_on_exit=False), {})
        meter = provider.get_meter("scope", "1")
        meter.create_observable_counter("beside", [lambda _: [Observation(3)]])
        bank = adopted_bank(provider)
        assert (bank is not None) is is_adopted
        histogram: Any = (
            meter.create_histogram("h", "s", explicit_bucket_boundaries_advisory=BOUNDS)
            if bank is None
            else bank.histogram(meter, "h", "s", BOUNDS)
        )
        found.append(_recorded(histogram, readers, calls))
    assert found[0] == found[1]


def NO_EXEMPLARS() -> dict[str, Any]:
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter

    return {"exemplar_filter": AlwaysOffExemplarFilter()}


def _recorded(histogram: Any, readers: list[InMemoryMetricReader], calls: int) -> list[Any]:
    draw, seen = random.Random(5), []
    kept = [{"a": number, "b": "x"} for number in range(20)]
    for number in range(calls):
        labels = draw.choice(kept) if draw.random() < 0.9 else dict(draw.choice(kept))
        histogram.record(draw.choice([0, 0.01, draw.expovariate(1), 7, 100]), labels)
        if number % (calls // 7) == 0:
            seen += [_collected(reader) for reader in readers]
    return seen + [_collected(reader) for reader in (*readers, readers[0])]


def _collected(reader: InMemoryMetricReader) -> Any:
    data = reader.get_metrics_data()
    if data is None:
        return None
    found = plain(json.loads(data.to_json()))
    for resource in found["resource_metrics"]:
        for scope in resource["scope_metrics"]:
            for metric in scope["metrics"]:
                for point in metric["data"]["data_points"]:
                    if "sum" in point:  # added up in another order
                        point["sum"] = round(point["sum"], 6)
                metric["data"]["data_points"].sort(key=lambda point: str(point["attributes"]))
            scope["metrics"].sort(key=lambda metric: metric["name"])
    return found


async def test_calls_are_told_of_as_by_the_sdk(upstream: FakeUpstream) -> None:
    """All of a mesh's spans and metrics, but for times and what they measure."""
    found = []
    for is_adopted in (False, True):
        provider, exporter = tracers()
        if not is_adopted:
            provider.add_span_processor(Curious())  # so that the SDK makes the spans
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader], RESOURCE, shutdown_on_exit=False)
        if is_adopted:
            adopt(meters, provider, {})
        mesh = make_mesh(None, upstream, tracer_provider=provider, meter_provider=meters)
        upstream.script(
            Answer(200, [("x-request-id", "r")], chat_completion("Hi")),
            Stream(events(["Good ", "day"])),
            *(Answer(400, [("x-request-id", "r")], {"error": {"message": "no"}}),),
        )
        async with calling(mesh) as client:
            for body in (None, STREAM, None):
                await chat(client, body, headers={"x-request-id": "c"})
        spans = exported(exporter)
        for span in spans:
            for name in [
                name for name in span["attributes"] if "duration" in name or "time_to" in name
            ]:
                del span["attributes"][name]
        points = {
            (metric.name, str(sorted(point.attributes.items())), getattr(point, "count", None))
            for resource in (reader.get_metrics_data() or pytest.fail("nothing")).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }
        found.append((spans, points))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]


class Curious(SpanProcessor):
    """Wants to know of starts."""

    def __init__(self) -> None:
        self.started = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started += 1


def test_a_processor_that_wants_to_know_of_starts_is_told() -> None:
    provider, exporter = tracers()
    adopt(MeterProvider(shutdown_on_exit=False), provider, {})
    tracer = adopted_tracer(provider, provider.get_tracer("scope"))
    tracer.start_span("first").end()
    curious = Curious()
    provider.add_span_processor(curious)  # at any time
    tracer.start_span("second").end()
    assert curious.started == 1
    assert [span.name for span in exporter.get_finished_spans()] == ["first", "second"]


@pytest.mark.parametrize(
    "options",
    [
        {"span_limits": SpanLimits(max_span_attributes=20)},
        {"span_limits": SpanLimits(max_span_attribute_length=10)},
    ],
)
def test_a_provider_with_limits_keeps_the_sdks_tracer(options: dict[str, Any]) -> None:
    provider, _ = tracers(**options)
    adopt(MeterProvider(shutdown_on_exit=False), provider, {})
    tracer = provider.get_tracer("scope")
    assert adopted_tracer(provider, tracer) is tracer


def _views() -> MeterProvider:
    return MeterProvider(
        [InMemoryMetricReader()], views=[View(instrument_name="*")], shutdown_on_exit=False
    )


def _exponential() -> MeterProvider:
    wished = {Histogram: ExponentialBucketHistogramAggregation()}
    reader = InMemoryMetricReader(preferred_aggregation=wished)
    return MeterProvider([reader], shutdown_on_exit=False)


def _other_buckets() -> MeterProvider:
    wished = {Histogram: ExplicitBucketHistogramAggregation((1, 2))}
    reader = InMemoryMetricReader(preferred_aggregation=wished)
    return MeterProvider([reader], shutdown_on_exit=False)


def _no_reader() -> MeterProvider:
    return MeterProvider(shutdown_on_exit=False)


def _ordinary() -> MeterProvider:
    return MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


@pytest.mark.parametrize(
    ("make", "environ"),
    [
        (_views, {}),
        (_exponential, {}),
        (_other_buckets, {}),
        (_no_reader, {}),
        (_ordinary, {"OTEL_METRICS_EXEMPLAR_FILTER": "trace_based"}),
        (_ordinary, {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}),
    ],
)
def test_a_provider_with_wishes_of_its_own_is_left_alone(
    make: Callable[[], MeterProvider], environ: dict[str, str]
) -> None:
    provider = make()
    adopt(provider, TracerProvider(shutdown_on_exit=False), environ)
    assert adopted_bank(provider) is None


def test_label_sets_that_are_made_anew_are_one() -> None:
    histogram = OwnHistogram("h", "s", BOUNDS, readers=1)
    for _ in range(20_000):  # more than identities are remembered
        histogram.record(0.5, {"a": 1})
    metric = histogram.collect(0, CUMULATIVE, 1)
    assert metric is not None
    (point,) = metric.data.data_points
    assert point.count == 20_000


def test_a_callback_of_the_sdk_still_works() -> None:
    def observe(options: CallbackOptions) -> list[Observation]:
        return [Observation(1)]

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    adopt(provider, TracerProvider(shutdown_on_exit=False), {})
    provider.get_meter("other").create_observable_counter("c", [observe])
    data = reader.get_metrics_data()
    assert data is not None
    assert data.resource_metrics[0].scope_metrics[0].metrics[0].name == "c"
