"""Histograms that are aggregated here, and added to what the SDK's readers collect.

    record    the attribute set is found by its identity; many values cost little more than one
    collect   a reader collects from the SDK: the points of all histograms since its last collection
              (delta) or since the start (cumulative) join the SDK's metrics of the same scope

Each reader has separate points, since each may have another temporality.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ..._process.forks import ForkLock

__all__ = ["HistogramBank", "OwnHistogram"]

Attributes = Mapping[str, str | int]

# Calls with the same attributes share one label set; an equal one is found by its contents.
_MAX_IDENTITIES = 8192
_INFINITY = float("inf")


class _Point:
    """One set of attributes for one reader: since its last collection, or since the start."""

    __slots__ = ("attributes", "counts", "highest", "lowest", "since_ns", "total")

    def __init__(self, attributes: Attributes, buckets: int, now_ns: int) -> None:
        self.attributes = attributes
        self.since_ns = now_ns
        self.reset(buckets)

    def reset(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total: float = 0
        self.lowest, self.highest = _INFINITY, -_INFINITY


class OwnHistogram:
    """One histogram; `record` is safe to call from any thread."""

    def __init__(
        self,
        name: str,
        unit: str,
        bounds: Sequence[float],
        readers: int,
    ) -> None:
        self.name = name
        self.unit = unit
        self._bounds = tuple(bounds)
        self._lock = ForkLock()
        self._since_ns = time.time_ns()
        self._by_contents: dict[frozenset[tuple[str, str | int]], tuple[_Point, ...]] = {}
        self._by_identity: dict[int, tuple[Attributes, tuple[_Point, ...]]] = {}
        self._readers = readers

    def record(
        self,
        amount: float,
        attributes: dict[str, str | int] | None = None,
        context: Context | None = None,
    ) -> None:
        """Add a value; only an exemplar would need the context."""
        self.record_all((amount,), attributes if attributes is not None else _NOTHING)

    def record_all(self, amounts: Sequence[float], labels: Attributes) -> None:
        """Add values that have the same attributes."""
        ordered, bounds = sorted(amounts), self._bounds
        lowest, highest, total = ordered[0], ordered[-1], sum(amounts)
        with self._lock.of_process:
            known = self._by_identity.get(id(labels))
            points = known[1] if known is not None and known[0] is labels else self._enter(labels)
            for point in points:
                point.total += total
                point.lowest = min(point.lowest, lowest)
                point.highest = max(point.highest, highest)
                _fill(point.counts, bounds, ordered)

    def _enter(self, attributes: Attributes) -> tuple[_Point, ...]:
        contents = frozenset(attributes.items())
        points = self._by_contents.get(contents)
        if points is None:
            since_ns, buckets, copy = self._since_ns, len(self._bounds) + 1, dict(attributes)
            points = tuple(_Point(copy, buckets, since_ns) for _ in range(self._readers))
            self._by_contents[contents] = points
        if len(self._by_identity) >= _MAX_IDENTITIES:
            self._by_identity.clear()
        self._by_identity[id(attributes)] = attributes, points
        return points

    def collect(
        self, reader: int, temporality: AggregationTemporality, now_ns: int
    ) -> Metric | None:
        """Return the points of one reader, None if there are none."""
        is_delta, found = temporality is AggregationTemporality.DELTA, []
        with self._lock.of_process:
            self._since_ns = now_ns  # of points that come later, if recorded some time before
            for points in self._by_contents.values():
                point = points[reader]
                count = sum(point.counts)
                since_ns = point.since_ns
                if is_delta:
                    point.since_ns = now_ns
                if not count:
                    continue
                found.append(
                    HistogramDataPoint(
                        attributes=point.attributes,
                        start_time_unix_nano=since_ns,
                        time_unix_nano=now_ns,
                        count=count,
                        sum=point.total,
                        bucket_counts=tuple(point.counts),
                        explicit_bounds=self._bounds,
                        min=point.lowest,
                        max=point.highest,
                    )
                )
                if is_delta:
                    point.reset(len(self._bounds) + 1)
        return Metric(self.name, "", self.unit, Histogram(found, temporality)) if found else None


_NOTHING: dict[str, str | int] = {}


def _fill(counts: list[int], bounds: Sequence[float], ordered: list[float]) -> None:
    """Count values in ascending order; a bound belongs to the bucket that it ends."""
    begin, count = 0, len(ordered)
    while begin < count:
        at = bisect_left(bounds, ordered[begin])
        end = bisect_right(ordered, bounds[at], begin) if at < len(bounds) else count
        counts[at] += end - begin
        begin = end


class HistogramBank:
    """The histograms of one meter provider; `temporalities` are those of its readers."""

    def __init__(self, temporalities: Sequence[AggregationTemporality]) -> None:
        self._temporalities = tuple(temporalities)
        self._by_scope: dict[InstrumentationScope, list[OwnHistogram]] = {}
        self._preparing: list[Callable[[], None]] = []

    def histogram(
        self, meter: Meter, name: str, unit: str, bounds: Sequence[float]
    ) -> OwnHistogram:
        """Return a new histogram of `meter`."""
        made = OwnHistogram(name, unit, bounds, len(self._temporalities))
        scope: InstrumentationScope = meter._instrumentation_scope  # type: ignore[attr-defined]
        self._by_scope.setdefault(scope, []).append(made)
        return made

    def record_all(self, values: Iterable[tuple[Any, Sequence[float], Attributes]]) -> None:
        """Record values on these histograms."""
        for histogram, amounts, labels in values:
            histogram.record_all(amounts, labels)

    def before_collecting(self, prepare: Callable[[], None]) -> None:
        """Call `prepare` each time before anything is collected."""
        self._preparing.append(prepare)

    def prepare(self) -> None:
        """Record everything that is pending, before a collection."""
        for prepare in self._preparing:
            prepare()

    def collect(
        self, reader: int, data: MetricsData | None, resource: Resource
    ) -> MetricsData | None:
        """Return `data`, which the SDK has collected for a reader, with our histograms in it."""
        now_ns, temporality = time.time_ns(), self._temporalities[reader]
        for scope, histograms in self._by_scope.items():
            collected = (each.collect(reader, temporality, now_ns) for each in list(histograms))
            metrics = [metric for metric in collected if metric is not None]
            if metrics:
                data = _joined(data, resource, scope, metrics)
        return data


def _joined(
    data: MetricsData | None,
    resource: Resource,
    scope: InstrumentationScope,
    metrics: list[Metric],
) -> MetricsData:
    found = list(data.resource_metrics) if data is not None else []
    if not found:
        found.append(ResourceMetrics(resource, [], resource.schema_url))
    scopes = list(found[0].scope_metrics)
    for index, each in enumerate(scopes):
        if each.scope == scope:
            scopes[index] = ScopeMetrics(scope, [*each.metrics, *metrics], each.schema_url)
            break
    else:
        scopes.append(ScopeMetrics(scope, metrics, scope.schema_url or ""))
    found[0] = ResourceMetrics(found[0].resource, scopes, found[0].schema_url)
    return MetricsData(found)
