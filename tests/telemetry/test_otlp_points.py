"""Points as we encode them are, byte by byte, what OpenTelemetry's exporter encodes."""

from __future__ import annotations

import random
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as sdk_metrics
from opentelemetry.sdk.metrics import Exemplar, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from llm_mesh_middleware._telemetry.owned.otlp.points import encode_metrics, is_encodable
from tests.telemetry.test_otlp import MANY, RESOURCES, SCOPES, some_attributes

NUMBERS = [0, 1, -1, (1 << 63) - 1, -(1 << 63), 0.0, -0.0, 0.5, 1e300, float("inf")]
TEMPORALITIES = [*AggregationTemporality]


def some_number(draw: random.Random) -> NumberDataPoint:
    return NumberDataPoint(
        some_attributes(draw, 5),
        draw.choice([0, draw.getrandbits(62)]),
        draw.getrandbits(62),
        draw.choice(NUMBERS),
    )


def some_histogram(draw: random.Random) -> HistogramDataPoint:
    bounds = sorted(draw.sample([0.0, 0.5, 1.0, 10.0, 1e6], draw.randrange(5)))
    counts = [draw.randrange(1 << 33) for _ in range(len(bounds) + 1)]
    low, high, total = (draw.choice([0, 0.0, 7, 0.25, 1 << 40]) for _ in range(3))
    return HistogramDataPoint(
        some_attributes(draw, 9),
        draw.getrandbits(62),
        draw.getrandbits(62),
        draw.choice([0, sum(counts)]),
        total,
        counts,
        bounds,
        low,
        high,
    )


def some_metric(draw: random.Random) -> Metric:
    count, kind = draw.choice([0, 1, 3]), draw.choice(TEMPORALITIES)
    data: Any = draw.choice(
        [
            Gauge([some_number(draw) for _ in range(count)]),
            Sum([some_number(draw) for _ in range(count)], kind, draw.random() < 0.5),
            Histogram([some_histogram(draw) for _ in range(count)], kind),
        ]
    )
    name = draw.choice(["requests", "duration", "größe"])
    return Metric(name, draw.choice(["", "about it"]), draw.choice(["", "s", "{token}"]), data)


def some_collection(draw: random.Random) -> MetricsData:
    return MetricsData(
        [
            ResourceMetrics(
                resource,
                [
                    ScopeMetrics(
                        scope,
                        [some_metric(draw) for _ in range(draw.randrange(4))],
                        scope.schema_url or "",
                    )
                    for scope in draw.sample(SCOPES, draw.randrange(1, 4))
                ],
                resource.schema_url,
            )
            for resource in draw.sample(RESOURCES, draw.randrange(3))
        ]
    )


@MANY
def test_points_are_the_same_bytes(count: int) -> None:
    draw = random.Random(5)
    for _ in range(count // 4):  # each has several
        data = some_collection(draw)
        assert is_encodable(data)
        assert encode_metrics(data) == sdk_metrics(data).SerializeToString()


def test_a_collection_of_the_sdk_is_the_same_bytes() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], RESOURCES[0], shutdown_on_exit=False).get_meter("m", "1")
    meter.create_counter("c").add(3, {"a": 1})
    meter.create_up_down_counter("u").add(-2)
    meter.create_gauge("g").set(0.5, {"b": True})
    meter.create_histogram("h").record(7, {"c": "x"})
    data = reader.get_metrics_data()
    assert data is not None

    assert encode_metrics(data) == sdk_metrics(data).SerializeToString()


def test_what_has_no_form_here_is_left_to_the_exporter() -> None:
    exemplar = Exemplar({}, 1, 1, 2, 3)
    point = NumberDataPoint({}, 0, 1, 1, [exemplar])
    told = Sum([point], AggregationTemporality.DELTA, True)
    of = ScopeMetrics(SCOPES[0], [Metric("m", "", "", told)], "")
    assert not is_encodable(MetricsData([ResourceMetrics(RESOURCES[0], [of], "")]))

    view = View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=[view], shutdown_on_exit=False)
    provider.get_meter("m").create_histogram("h").record(1)
    data = reader.get_metrics_data()
    assert data is not None
    assert not is_encodable(data)


def test_a_histogram_without_bounds_has_none() -> None:
    point = HistogramDataPoint({}, 1, 2, 1, 3.0, [1], [], 3.0, 3.0)
    told = Histogram([point], AggregationTemporality.CUMULATIVE)
    of = ScopeMetrics(SCOPES[0], [Metric("m", "", "s", told)], "")
    data = MetricsData([ResourceMetrics(RESOURCES[1], [of], "")])
    assert encode_metrics(data) == sdk_metrics(data).SerializeToString()
