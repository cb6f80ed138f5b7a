"""The observer that makes spans, metrics and access records of exchanges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import Token
from functools import partial
from typing import Literal

from opentelemetry import _logs, context, metrics, trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from .._core.flow.observer import Observation
from .._core.provider.health import ProviderStatus
from .._core.values.messages import ClientRequest
from .access_log import access_logger
from .attempts import SpanMode
from .call import CallObservation
from .content import ContentCapture, Redact, is_event_wanted, wanted_capture
from .events import Events
from .server_span import ServerSpans
from .shared import SCOPE, shared_metrics

__all__ = ["Telemetry"]

_OTHER = "_other"
# Names that a provider may bring into a metric, over the life of the process.
_MAX_SEEN_MODELS = 100
_ASK_AGAIN_S = 0.05
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
        has_http_spans: Callable[[], bool] = lambda: False,
        has_asm_metrics: bool = True,
        has_chunk_metrics: bool = False,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        redact: Redact | None = None,
    ) -> None:
        self._has_listener = any((tracer_provider, meter_provider, logger_provider))
        self._ask_again_at = 0.0
        self.workload = workload
        self.namespace = namespace
        self.health = health
        self.tracer = trace.get_tracer(SCOPE, version, tracer_provider)
        self.metrics = shared_metrics(version, meter_provider)
        self.metrics.ejections.watch(self)
        self.attempt_spans = attempt_spans
        self.has_http_spans = has_http_spans
        self.has_asm_metrics = has_asm_metrics
        self.has_chunk_metrics = has_chunk_metrics
        self.server_spans = ServerSpans(self.tracer, self.metrics)
        self._is_quiet = http_client_spans == "suppress"
        self._known_models = known_models
        self._seen_models: set[str] = set()
        logger = _logs.get_logger(SCOPE, version, logger_provider)
        self.events = Events(logger)
        self.content = ContentCapture(wanted_capture(), logger, redact, emits=is_event_wanted())

    @property
    def wants_content(self) -> bool:
        """Whether answers must be kept until a call ends."""
        return bool(self.content.targets)

    def __call__(self, request: ClientRequest) -> Observation:
        """Begin to follow an exchange; where nobody would hear of it, there is nothing to do.

        The client's own trace context is then passed on as it came.
        """
        if self._has_listener or access_logger.isEnabledFor(logging.INFO) or self._finds_sdk():
            return CallObservation(self, request)
        return _UNHEARD

    def _finds_sdk(self) -> bool:
        """Whether a global provider has been set; once one is, it stays.

        Asking takes longer than all that telemetry does without one, so it is asked anew after a
        while, which is short beside the time that an application takes to set one up.
        """
        now = time.monotonic()
        if now >= self._ask_again_at:
            self._ask_again_at = now + _ASK_AGAIN_S
            self._has_listener = _is_sdk_there()
        return self._has_listener

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

    def scope(self, active: Context) -> Callable[[], AbstractContextManager[None]]:
        """What must surround the HTTP client's call, in the task that makes it.

        Args:
            active: without baggage, which an HTTP instrumentation would send to the provider.
        """
        if self._is_quiet:
            active = context.set_value(_SUPPRESS_HTTP, True, active)
        return partial(_Attached, active)


class _Attached(AbstractContextManager[None]):
    """A context that is active inside; a class, as a generator takes four times as long."""

    __slots__ = ("_active", "_token")

    def __init__(self, active: Context) -> None:
        self._active = active

    def __enter__(self) -> None:
        self._token: Token[Context] = context.attach(self._active)

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


_UNHEARD = Observation()
_API = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")


def _is_sdk_there() -> bool:
    """Whether any global provider is more than the API's own stand-in."""
    providers: tuple[object, ...] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    return any(not type(provider).__module__.startswith(_API) for provider in providers)
