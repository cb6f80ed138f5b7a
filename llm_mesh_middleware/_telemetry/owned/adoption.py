"""Adopts providers that were set up here, if they are simple enough to replace the SDK's work.

    MeterProvider    if it has no views, no exemplars, explicit buckets, no internal metrics
    TracerProvider   as that of any application (`tracers`); its exporters are ours, too

Private names of the SDK are looked up first. If a release lacks one, the provider is not adopted,
and the SDK does all the work.
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
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DefaultAggregation, ExplicitBucketHistogramAggregation
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import TracerProvider

from .handover import DeferredSpanExporter
from .histograms import HistogramBank
from .registry import register
from .tracers import adopt_tracers, has_internal_metrics

__all__ = ["adopt"]

_EXEMPLARS = "OTEL_METRICS_EXEMPLAR_FILTER"
# Variables that give exporters other settings, or other sessions.
_OTHER_SOURCES = (
    "OTEL_CONFIG_FILE",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_METRICS_CREDENTIAL_PROVIDER",
)


def adopt(
    meters: MeterProvider | None = None,
    tracers: TracerProvider | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    is_from_environ: bool = False,
) -> None:
    """Take over histograms and spans of these providers, by default the global ones.

    With `is_from_environ`, their exporters were set up from `environ` and nothing else.
    """
    if has_internal_metrics(environ):
        return
    is_plain = is_from_environ and not any(map(environ.get, _OTHER_SOURCES))
    _adopt_meters(metrics.get_meter_provider() if meters is None else meters, environ, is_plain)
    provider = trace.get_tracer_provider() if tracers is None else tracers
    adopt_tracers(provider, environ, partial(_exporter, is_plain))


def _adopt_meters(
    provider: MeterProvider, environ: Mapping[str, str], is_from_environ: bool
) -> None:
    if type(provider) is not SDKMeterProvider:
        return
    if environ.get(_EXEMPLARS, "always_off").strip().lower() != "always_off":
        return
    try:
        config, readers = provider._sdk_config, _readers(provider)
        kinds = [_histogram_kind(reader) for reader in readers]
        plain = not config.views and all(
            _is_explicit(reader._instrument_class_aggregation[kind]) and reader._collect is not None
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
        if is_from_environ:
            _encode_points(reader)
        reader._set_collect_callback(partial(_collect, bank, index, config, reader._collect))
    register(provider, bank)


def _is_explicit(aggregation: Any) -> bool:
    """Return whether histograms get the buckets that their instruments advise."""
    if type(aggregation) is ExplicitBucketHistogramAggregation:  # as exporters of OTLP prefer
        return aggregation._boundaries is None and aggregation._record_min_max is True
    return type(aggregation) is DefaultAggregation


def _encode_points(reader: Any) -> None:
    """Replace the exporter of a reader, if it sends OTLP over HTTP, by one that encodes here."""
    try:
        from .otlp.session import OTLPPointExporter, is_plain

        if type(reader) is PeriodicExportingMetricReader and is_plain(reader._exporter):
            reader._exporter = OTLPPointExporter.like(reader._exporter)
    except (ImportError, AttributeError):  # no exporter over HTTP, or another release of the SDK
        pass


def _readers(provider: Any) -> tuple[Any, ...]:
    return tuple(provider._metric_readers)


def _histogram_kind(reader: Any) -> type | None:
    """Return the class under which a reader keeps its preferences for histograms."""
    return next(
        (kind for kind in reader._instrument_class_aggregation if issubclass(kind, Histogram)), None
    )


def _collect(
    bank: HistogramBank, index: int, config: Any, collect: Any, reader: Any, **kwargs: Any
) -> Any:
    bank.prepare()
    return bank.collect(index, collect(reader, **kwargs), config.resource)


def _exporter(is_from_environ: bool, exporter: SpanExporter) -> DeferredSpanExporter:
    """Return what exports notes by an exporter: as bytes if it sends OTLP over HTTP.

    An exporter that has read its settings from the environment is made again, with our session.
    """
    if is_from_environ:
        try:
            from .otlp.session import OTLPDeferredExporter, is_plain

            if is_plain(exporter):
                return OTLPDeferredExporter.like(exporter)
        except ImportError:  # no exporter, or not over HTTP by requests
            pass
    return DeferredSpanExporter(exporter)
