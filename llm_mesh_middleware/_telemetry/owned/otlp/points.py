"""Metrics as an `ExportMetricsServiceRequest`: our own and those of the SDK.

Metric                1 name   2 description   3 unit   5 gauge   7 sum   9 histogram
Gauge                 1 points
Sum                   1 points   2 temporality   3 is monotonic
Histogram             1 points   2 temporality
a number's point      2 start   3 time   4 as double   6 as integer   7 attributes
a histogram's point   2 start   3 time   4 count   5 sum   6 counts   7 bounds   9 attributes
                      11 minimum   12 maximum

Exemplars and exponential histograms have no form here; a collection that has some is left to the
exporter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, pack

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from .scopes import of_resource, of_scope
from .wire import attributes, double, field, fixed64, tagged

__all__ = ["encode_metrics", "is_encodable"]

_integer = Struct("<q").pack
_count = Struct("<Q").pack
_LARGEST = 1 << 63


def is_encodable(data: MetricsData) -> bool:
    """Return whether all of a collection has a form here."""
    return all(
        isinstance(metric.data, Gauge | Sum | Histogram)
        and not any(point.exemplars for point in metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def encode_metrics(data: MetricsData) -> bytes:
    """Return the body of a request."""
    return b"".join(
        [
            of_resource(
                resource.resource,
                [
                    of_scope(scope.scope, [tagged(2, _metric(each)) for each in scope.metrics])
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ]
    )


def _metric(metric: Metric) -> bytes:
    data = metric.data
    head = field(1, metric.name) + field(2, metric.description) + field(3, metric.unit)
    if not data.data_points:
        return head
    if isinstance(data, Gauge):
        return head + tagged(5, _numbers(data.data_points, has_start=False))
    if isinstance(data, Sum):
        monotonic = b"\x18\x01" if data.is_monotonic else b""
        kind = _temporality(data.aggregation_temporality)
        return head + tagged(7, _numbers(data.data_points, has_start=True) + kind + monotonic)
    if isinstance(data, Histogram):
        points = b"".join([tagged(1, _histogram(point)) for point in data.data_points])
        return head + tagged(9, points + _temporality(data.aggregation_temporality))
    return head


def _temporality(kind: int) -> bytes:
    return bytes((0x10, int(kind))) if kind else b""


def _numbers(points: Iterable[NumberDataPoint], *, has_start: bool) -> bytes:
    return b"".join([tagged(1, _number(point, has_start)) for point in points])


def _number(point: NumberDataPoint, has_start: bool) -> bytes:
    value = point.value
    return b"".join(
        [
            fixed64(2, point.start_time_unix_nano) if has_start else b"",
            fixed64(3, point.time_unix_nano),
            b"\x31" + _integer(value) if isinstance(value, int) else double(4, value),
            attributes(7, point.attributes),
        ]
    )


def _histogram(point: HistogramDataPoint) -> bytes:
    return b"".join(
        [
            fixed64(2, point.start_time_unix_nano),
            fixed64(3, point.time_unix_nano),
            fixed64(4, point.count),
            double(5, point.sum),
            _packed(6, "Q", point.bucket_counts),
            _packed(7, "d", point.explicit_bounds),
            attributes(9, point.attributes),
            double(11, point.min),
            double(12, point.max),
        ]
    )


def _packed(number: int, kind: str, values: Sequence[float]) -> bytes:
    return tagged(number, pack(f"<{len(values)}{kind}", *values)) if values else b""
