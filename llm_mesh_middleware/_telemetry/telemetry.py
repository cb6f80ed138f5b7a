"""The observer that makes spans, metrics and access records of exchanges."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

from opentelemetry import _logs, context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from .._core.health import ProviderStatus
from .._core.messages import ClientRequest
from .._core.observer import Observation
from .._core.routing import Selection
from .._core.summary import AnswerSummary
from . import semconv
from .attempts import SpanMode
from .call import CallObservation
from .content import ContentCapture, Redact, wanted_capture
from .metrics import MeshMetrics, wanted_generations
from .request_facts import AttributeValue

__all__ = ["Telemetry"]

_SCOPE = "llm_mesh_middleware"
_OTHER = "_other"
# Names that a provider may bring into a metric, over the life of the process.
_MAX_SEEN_MODELS = 100
# The key under which HTTP instrumentations look whether they should keep quiet.
_SUPPRESS_HTTP = context._SUPPRESS_HTTP_INSTRUMENTATION_KEY


class Telemetry:
    """Made once per mesh. Without an SDK every call of it ends in the API's own no-operations."""

    def __init__(
        self,
        version: str,
        *,
        known_models: Callable[[], frozenset[str]],
        health: Callable[[], Mapping[str, ProviderStatus]],
        workload: str,
        namespace: str,
        attempt_spans: SpanMode = "on_retry",
        http_client_spans: Literal["auto", "suppress"] = "auto",
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        redact: Redact | None = None,
    ) -> None:
        self.tracer = trace.get_tracer(_SCOPE, version, tracer_provider)
        meter = metrics.get_meter(_SCOPE, version, meter_provider)
        self.metrics = MeshMetrics(
            meter, generations=wanted_generations(), workload=workload, namespace=namespace
        )
        self.attempt_spans = attempt_spans
        self._is_quiet = http_client_spans == "suppress"
        self._known_models = known_models
        self._seen_models: set[str] = set()
        logger = _logs.get_logger(_SCOPE, version)
        self._content = ContentCapture(wanted_capture(), logger, redact)
        meter.create_observable_gauge(
            semconv.MESH_EJECTED, [_ejections(health)], "{provider}", "1 while it is ejected"
        )

    @property
    def wants_content(self) -> bool:
        """Whether answers must be kept until a call ends."""
        return bool(self._content.targets)

    def __call__(self, request: ClientRequest) -> Observation:
        """Begin to follow an exchange."""
        return CallObservation(self, request)

    def known_model(self, model: str | None) -> str | None:
        """A model as a metric may name it: only names that the configuration knows."""
        if model is None or model in self._known_models():
            return model
        return _OTHER

    def seen_model(self, model: str) -> str:
        """A provider's name for the model that has answered; there are only so many of them."""
        if model in self._seen_models or model in self._known_models():
            return model
        if len(self._seen_models) >= _MAX_SEEN_MODELS or len(model) > 128:
            return _OTHER
        self._seen_models.add(model)
        return model

    def start_server_span(self, request: ClientRequest, parent: Context) -> Span | None:
        """A SERVER span for a request that nobody else has one for (HTTP conventions)."""
        if not request.is_inbound:
            return None
        attributes: dict[str, AttributeValue] = {
            semconv.HTTP_METHOD: request.method[:16],
            semconv.URL_SCHEME: "http",
            semconv.URL_PATH: request.path[:256],
            semconv.SERVER_ADDRESS: request.host,
            semconv.PROTOCOL_VERSION: request.http_version,
        }
        if request.peer is not None:
            attributes[semconv.CLIENT_ADDRESS] = request.peer
        if (agent := request.headers.get("user-agent")) is not None:
            attributes[semconv.USER_AGENT] = agent[:256]
        return self.tracer.start_span(
            request.method[:16], parent, SpanKind.SERVER, attributes=attributes
        )

    def end_server_span(
        self, span: Span, selection: Selection | None, status: int | None, error_type: str | None
    ) -> None:
        """Say how the request was answered; a client's own fault is no error of the server."""
        if span.is_recording():
            if selection is not None:
                span.set_attribute(semconv.ROUTE_NAME, selection.route)
            if status is not None:
                span.set_attribute(semconv.HTTP_STATUS, status)
            if error_type is not None and (status is None or status >= 500):
                span.set_attribute(semconv.ERROR_TYPE, error_type)
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    def scope(self, active: Context) -> Callable[[], AbstractContextManager[None]]:
        """What must surround the HTTP client's call, in the task that makes it."""
        if self._is_quiet:
            active = context.set_value(_SUPPRESS_HTTP, True, active)
        return lambda: _attached(active)

    def capture(self, span: Span, request: ClientRequest, summary: AnswerSummary | None) -> None:
        """Add content, if it is wanted."""
        if self._content.targets:
            self._content.write(span, request.fields, summary.body if summary else None)


@contextlib.contextmanager
def _attached(active: Context) -> Iterator[None]:
    token = context.attach(active)
    try:
        yield
    finally:
        context.detach(token)


def _ejections(health: Callable[[], Mapping[str, ProviderStatus]]) -> Any:
    def observe(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        for host, status in health().items():
            is_out = status.state != "healthy"
            yield metrics.Observation(int(is_out), {semconv.SERVER_ADDRESS: host})

    return observe
