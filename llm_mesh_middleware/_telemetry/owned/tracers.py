"""Makes spans in place of the SDK's tracers, where nobody can tell them apart.

A provider is adopted if it is the SDK's own, with processors that ignore starts, limits that our
spans cannot reach, and no internal metrics. Processors get a `ReadableSpan` of each span that has
ended, as from the SDK: with the decision of the sampler, and the ids of the generator.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial

from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace import TracerProvider as SDKTracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Tracer, TracerProvider

from .deferred_tracer import DeferredTracer
from .handover import DeferredSpanExporter, ProcessorHandover
from .registry import is_adopted, register

__all__ = ["adopt_tracers", "has_internal_metrics"]

# More than a span of ours ever has.
_MAX_ATTRIBUTES = 100
_MAX_LINKS = 8
_COMPOSITES = (SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor)
_INTERNAL = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


def has_internal_metrics(environ: Mapping[str, str]) -> bool:
    """Return whether the SDK counts its own spans and measurements, which it would then miss."""
    return environ.get(_INTERNAL, "").strip().lower() == "true"


def adopt_tracers(
    provider: TracerProvider,
    environ: Mapping[str, str] = os.environ,
    wrapped: Callable[[SpanExporter], DeferredSpanExporter] | None = None,
) -> None:
    """Make the spans of `provider` ourselves from now on, if it can be adopted.

    Args:
        provider: the provider.
        environ: where the SDK reads its settings.
        wrapped: returns what takes the place of an exporter of a batch; None leaves the exporters
            of the provider as they are.
    """
    if type(provider) is not SDKTracerProvider or has_internal_metrics(environ):
        return
    if is_adopted(provider):
        return
    limits = getattr(provider, "_span_limits", None)
    most = getattr(limits, "max_span_attributes", 0)
    links = getattr(limits, "max_links", 0)
    if limits is None or limits.max_span_attribute_length is not None:
        return
    if (most is not None and most < _MAX_ATTRIBUTES) or (links is not None and links < _MAX_LINKS):
        return
    try:
        if type(provider._active_span_processor) not in _COMPOSITES:
            return
        handover = ProcessorHandover(provider, wrapped)
    except AttributeError:  # another release of the SDK
        return
    if handover.is_open:
        register(provider, partial(_late, handover))


def _late(handover: ProcessorHandover, tracer: Tracer) -> Tracer:
    """Return a tracer in place of the SDK's, unless that is switched off."""
    config = getattr(tracer, "_tracer_config", None)
    is_on = config is None or config.is_enabled
    return DeferredTracer(tracer, handover) if is_on and type(tracer) is SDKTracer else tracer
