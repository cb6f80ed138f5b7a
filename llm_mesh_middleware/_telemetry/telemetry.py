"""The observer that makes spans, metrics and access records of exchanges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider

from .._core.flow.observer import Observation
from .._core.provider.health import ProviderStatus
from .._core.values.messages import ClientRequest
from .call import CallObservation
from .direct_call import DirectCall
from .logged_call import LoggedCall
from .metrics.limited_names import FieldNames, ModelNames
from .metrics.shared import SCOPE, shared_metrics
from .owned.registry import adopted_tracer
from .records.access_log import access_logger
from .records.content import ContentCapture, Redact, capture_targets, is_details_event_enabled
from .records.direct import CallHandler, direct_handler
from .records.events import Events
from .sinks import Sinks
from .spans.attempts import AttemptSpans, SpanMode
from .spans.call_kinds import CallKinds
from .spans.scope import ClientScope
from .spans.server import ServerSpans

__all__ = ["Telemetry"]

_RECHECK_S = 0.25


class Telemetry:
    """Made once per mesh. Without an SDK every call ends in the API's no-op implementation."""

    def __init__(
        self,
        version: str,
        *,
        known_models: Callable[[], frozenset[str]],
        health: Callable[[], Mapping[str, ProviderStatus]],
        is_store_away: Callable[[], bool] | None = None,
        workload: str,
        namespace: str,
        attempt_spans: SpanMode = "on_retry",
        http_client_spans: Literal["auto", "suppress"] = "auto",
        has_http_spans: Callable[[], bool] = lambda: False,
        needs_context: bool = True,
        has_spans: bool = True,
        has_server_spans: bool = False,
        has_metrics: bool = True,
        has_asm_metrics: bool = True,
        has_chunk_metrics: bool = False,
        cost_attributes: Sequence[str] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        redact: Redact | None = None,
    ) -> None:
        is_quiet, emits = http_client_spans == "suppress", is_details_event_enabled()
        self._has_listener = any((tracer_provider, meter_provider, logger_provider))
        self._lines: CallHandler | None = None
        self._recheck_at = 0.0
        self.health, self.is_store_away = health, is_store_away
        self.metrics = shared_metrics(version, meter_provider if has_metrics else _NO_METRICS)
        self.metrics.ejections.watch(self)
        self.metrics.policies.watch(self)
        tracer = _tracer(version, tracer_provider, has_spans=has_spans)
        span_mode: SpanMode = attempt_spans if has_spans else "never"
        models = ModelNames(known_models)
        logger = _logs.get_logger(SCOPE, version, logger_provider)
        self._sinks = Sinks(
            tracer=tracer,
            server_spans=ServerSpans(tracer, self.metrics) if has_server_spans else None,
            attempt_spans=AttemptSpans(tracer, span_mode, has_http_spans),
            client_scope=ClientScope(suppresses_http_spans=is_quiet, is_needed=needs_context),
            metrics=self.metrics,
            models=models,
            kinds=CallKinds(models, (workload, namespace) if has_asm_metrics else None),
            fields=FieldNames(),
            has_chunk_metrics=has_chunk_metrics and has_metrics,
            cost_attributes=tuple(cost_attributes),
            events=Events(logger),
            content=ContentCapture(capture_targets(), logger, redact, emits=emits),
        )

    @property
    def wants_content(self) -> bool:
        """Whether responses must be kept until a call ends."""
        return bool(self._sinks.content.targets)

    def observe(self, request: ClientRequest) -> Observation:
        """Begin to observe an exchange; without an SDK or access log, return a no-op observation.

        The client's trace context is then passed on unchanged.
        """
        if not self._has_listener and (now := time.monotonic()) >= self._recheck_at:
            self._look(now)
        if self._has_listener:
            return CallObservation(self._sinks, request)
        if self._lines is not None:
            return DirectCall(self._lines, self._sinks, request)
        if access_logger.isEnabledFor(logging.INFO):
            return LoggedCall(self._sinks, request)
        return _NO_OBSERVATION

    def _look(self, now: float) -> None:
        """Look for a global provider, which stays once it is set, and for a handler of lines.

        That would be the largest cost of a call, so it is done at most every 250 ms, which is short
        compared with the time that an application takes to set them up.
        """
        self._recheck_at = now + _RECHECK_S
        self._has_listener = self._has_listener or _is_sdk_there()
        self._lines = direct_handler()


_NO_OBSERVATION = Observation()
_NO_SPANS = NoOpTracerProvider()
_NO_METRICS = NoOpMeterProvider()
_SDK = "opentelemetry.sdk."
_API = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")


def _is_sdk_there() -> bool:
    """Return whether any global provider is more than the API's own stand-in."""
    providers: tuple[object, ...] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    return any(not type(provider).__module__.startswith(_API) for provider in providers)


def _tracer(version: str, provider: TracerProvider | None, *, has_spans: bool) -> Tracer:
    """Return the tracer of `provider`, or of the provider of the process."""
    spans = (provider or trace.get_tracer_provider()) if has_spans else _NO_SPANS
    if type(spans).__module__.startswith(_SDK):  # which is then imported already
        from .owned.tracers import adopt_tracers

        adopt_tracers(spans)
    return adopted_tracer(spans, trace.get_tracer(SCOPE, version, spans))
