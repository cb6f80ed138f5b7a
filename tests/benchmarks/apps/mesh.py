"""The bare app behind the mesh: a route with two rules, a provider with a model and a key.

`tests.benchmarks.against` has earlier editions serve these apps too, so what is imported here is
what they have.
"""

from __future__ import annotations

import logging
from typing import Any

from llm_mesh_middleware import (
    LLMMeshMiddleware,
    LLMMeshWSGIMiddleware,
    LLMProvider,
    LLMRoute,
    MeshSettings,
)
from tests.benchmarks.apps import bare
from tests.benchmarks.wire import KEY, LLM_HOST, MODEL, PATH, PROVIDER_HOST, Origin

__all__ = [
    "MANIFESTS",
    "configured",
    "make",
    "make_observed",
    "make_owned",
    "make_with_everything",
    "make_wsgi",
]

_PROVIDER = {
    "apiVersion": "istio.alibabacloud.com/v1beta1",
    "kind": "LLMProvider",
    "metadata": {"name": "provider"},
    "spec": {
        "host": PROVIDER_HOST,
        "path": PATH,
        "configs": {"defaultConfig": {"openAIConfig": {"model": MODEL, "apiKey": KEY}}},
    },
}
_ROUTE = {
    "apiVersion": "istio.alibabacloud.com/v1beta1",
    "kind": "LLMRoute",
    "metadata": {"name": "route"},
    "spec": {
        "host": LLM_HOST,
        "rules": [
            {
                "name": "subscribers",
                "matches": [{"headers": {"user-type": {"exact": "subscriber"}}}],
                "backendRefs": [{"providerHost": PROVIDER_HOST}],
            },
            {"name": "default", "backendRefs": [{"providerHost": PROVIDER_HOST}]},
        ],
    },
}


MANIFESTS = (_PROVIDER, _ROUTE)


def make(origin: Origin, **settings: Any) -> LLMMeshMiddleware:
    """The mesh with default settings, but for `settings` and where the provider is."""
    return LLMMeshMiddleware(bare.make(origin), **configured(origin, settings))


def make_observed(origin: Origin, *, is_ours: bool = False, **settings: Any) -> LLMMeshMiddleware:
    """The same with OpenTelemetry's SDK: every request sampled, spans exported in batches.

    What is exported is dropped: encoding and sending it is the exporter's work, not the mesh's.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Dropped(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Dropped()))
    meters = MeterProvider([InMemoryMetricReader()])
    if is_ours:
        from llm_mesh_middleware._telemetry.owned.adoption import adopt

        adopt(meters, tracers, {})
    return LLMMeshMiddleware(
        bare.make(origin),
        **configured(origin, settings),
        tracer_provider=tracers,
        meter_provider=meters,
    )


def make_owned(origin: Origin) -> LLMMeshMiddleware:
    """The same where `setup_telemetry` has set the SDK up."""
    return make_observed(origin, is_ours=True)


def make_with_everything(origin: Origin) -> LLMMeshMiddleware:
    """The same with a span for every attempt and an access record for every call; no content."""
    from llm_mesh_middleware._telemetry.records.access_log import JSONFormatter, access_logger

    written = logging.FileHandler("/dev/null")
    written.setFormatter(JSONFormatter())
    access_logger.addHandler(written)
    access_logger.setLevel(logging.INFO)
    access_logger.propagate = False
    return make_observed(origin, attempt_spans="always")


def make_wsgi(origin: Origin) -> LLMMeshWSGIMiddleware:
    """The mesh as WSGI middleware."""
    return LLMMeshWSGIMiddleware(bare.make_wsgi(origin), **configured(origin, {}))


def configured(origin: Origin, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the middleware."""
    return {
        "config": [LLMProvider.model_validate(_PROVIDER), LLMRoute.model_validate(_ROUTE)],
        "settings": MeshSettings(
            endpoints={PROVIDER_HOST: origin.url}, ca_file=origin.ca_file, **settings
        ),
    }
