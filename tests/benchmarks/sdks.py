"""OpenTelemetry's SDK in the ways that a process can have it, as options of a mesh.

What is exported is dropped, except where the cost of encoding it is part of the question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SDK", "application", "ours"]

SDK = Callable[[], dict[str, Any]]
"""Makes the providers, and returns them as options of a mesh."""


def application() -> dict[str, Any]:
    """Return providers that the application has set up: every call sampled, spans in batches."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Dropped(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Dropped()))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return {"tracer_provider": tracers, "meter_provider": meters}


def ours() -> dict[str, Any]:
    """Return the same where `setup_telemetry` has set them up."""
    from llm_mesh_middleware._telemetry.owned.adoption import adopt

    made = application()
    adopt(made["meter_provider"], made["tracer_provider"], {})
    return made
