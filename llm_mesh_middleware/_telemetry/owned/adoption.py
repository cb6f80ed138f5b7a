"""Adopts providers that were set up here, if they are plain enough to do the SDK's work ourselves.

    provider         is adopted if
    MeterProvider    no views, no exemplars asked for, explicit buckets, no internal metrics
    TracerProvider   limits that our spans cannot reach, processors that ignore starts, no internal
                     metrics

Private names of the SDK are looked up first. If a release lacks one, the provider is not adopted,
and everything works as before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider as SDKMeterProvider
from opentelemetry.sdk.metrics.view import DefaultAggregation
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace import TracerProvider as SDKTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Tracer, TracerProvider

from .histograms import HistogramBank
from .late_spans import LateTracer
from .registry import register

__all__ = ["adopt"]

# More than a span of ours ever has.
_MOST_ATTRIBUTES = 100
_MOST_LINKS = 8
_IGNORE_STARTS = frozenset(
    kind.on_start for kind in (SpanProcessor, BatchSpanProcessor, SimpleSpanProcessor)
)
_EXEMPLARS = "OTEL_METRICS_EXEMPLAR_FILTER"
_INTERNAL = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


def adopt(
    meters: MeterProvider | None = None,
    tracers: TracerProvider | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Take over histograms and spans of these providers, by default the global ones."""
    if environ.get(_INTERNAL, "").strip().lower() == "true":
        return
    _adopt_meters(metrics.get_meter_provider() if meters is None else meters, environ)
    _adopt_tracers(trace.get_tracer_provider() if tracers is None else tracers)


def _adopt_meters(provider: MeterProvider, environ: Mapping[str, str]) -> None:
    if type(provider) is not SDKMeterProvider:
        return
    if environ.get(_EXEMPLARS, "always_off").strip().lower() != "always_off":
        return
    try:
        config, readers = provider._sdk_config, _readers(provider)
        kinds = [_histogram_kind(reader) for reader in readers]
        plain = not config.views and all(
            type(reader._instrument_class_aggregation[kind]) is DefaultAggregation
            and reader._collect is not None
            for reader, kind in zip(readers, kinds, strict=True)
        )
        temporalities = [
            reader._instrument_class_temporality[kind]
            for reader, kind in zip(readers, kinds, strict=True)
        ]
    except (AttributeError, KeyError):  # another release of the SDK
        return
    if not plain or not readers:
        return
    bank = HistogramBank(temporalities)
    for index, reader in enumerate(readers):
        reader._set_collect_callback(partial(_collect, bank, index, config, reader._collect))
    register(provider, bank)


def _readers(provider: Any) -> tuple[Any, ...]:
    return tuple(provider._metric_readers)


def _histogram_kind(reader: Any) -> type | None:
    """Return the class under which a reader keeps its preferences for histograms."""
    return next(
        (kind for kind in reader._instrument_class_aggregation if issubclass(kind, Histogram)), None
    )


def _collect(
    bank: HistogramBank, index: int, config: Any, collect: Any, reader: Any, **words: Any
) -> Any:
    return bank.collect(index, collect(reader, **words), config.resource)


def _adopt_tracers(provider: TracerProvider) -> None:
    if type(provider) is not SDKTracerProvider:
        return
    limits = getattr(provider, "_span_limits", None)
    most = getattr(limits, "max_span_attributes", 0)
    links = getattr(limits, "max_links", 0)
    if limits is None or limits.max_span_attribute_length is not None:
        return
    if (most is not None and most < _MOST_ATTRIBUTES) or (
        links is not None and links < _MOST_LINKS
    ):
        return
    watch = _Processors(provider)
    if watch.are_plain():
        register(provider, partial(_late, watch))


def _late(watch: _Processors, tracer: Tracer) -> Tracer:
    return LateTracer(tracer, watch.are_plain) if type(tracer) is SDKTracer else tracer


class _Processors:
    """The processors of a provider; more may be added at any time."""

    def __init__(self, provider: SDKTracerProvider) -> None:
        self._all: Any = getattr(provider, "_active_span_processor", None)
        self._seen: object = None
        self._are_plain = False

    def are_plain(self) -> bool:
        """Return whether none of them handles the start of a span."""
        present = getattr(self._all, "_span_processors", None)
        if present is not self._seen:
            self._seen = present
            self._are_plain = present is not None and all(
                type(each).on_start in _IGNORE_STARTS for each in present
            )
        return self._are_plain
