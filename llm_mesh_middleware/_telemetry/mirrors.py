"""Records copies of requests, which go to mirrors: a span, their cost, a comparison.

A copy is not counted in the requests, tokens and durations of its route: those are of calls that
clients made.
"""

from __future__ import annotations

import logging
import time

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from .._core.flow.mirrors.outcome import MirrorOutcome
from .._core.flow.observer import Observation
from .._core.pricing.charge import Charge
from .._core.values.messages import ClientRequest, UpstreamRequest
from .._core.values.selection import Selection
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage
from . import semconv
from .ending import Ending
from .metrics.costs import record_cost
from .progress import CallProgress
from .records.mirror_record import mirror_logger, mirror_record
from .sinks import Sinks
from .spans.call_attributes import end_attributes, start_attributes
from .spans.call_kinds import CallKind
from .spans.propagation import LazyContext, with_trace

__all__ = ["MirrorObservation", "record_outcome"]

_MIRRORED = ((semconv.IS_MIRROR, "true"),)


class MirrorObservation(Observation):
    """Follows one copy: a span in a separate trace, linked to the span of the client's call."""

    def __init__(
        self,
        sinks: Sinks,
        request: ClientRequest,
        selection: Selection | None,
        origin: SpanContext,
    ) -> None:
        self._sinks = sinks
        self._progress = CallProgress(request, time.perf_counter(), selection)
        self._links = (Link(origin),) if origin.is_valid else ()
        self._kind: CallKind | None = None
        self._span: Span = trace.INVALID_SPAN

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        progress, sinks = self._progress, self._sinks
        progress.first = progress.last = request
        progress.attempts, progress.sent_at = 1, time.perf_counter()
        self._kind = kind = sinks.kinds.of(progress, request)
        self._span = sinks.tracer.start_span(
            kind.span_name,
            Context(),
            SpanKind.CLIENT,
            attributes={**start_attributes(kind, progress.request), semconv.IS_MIRROR: True},
            links=self._links,
        )
        parent = LazyContext(Context(), self._span)
        headers, scope = with_trace(request.headers, parent), sinks.client_scope
        if not scope.is_needed:
            return replace(request, headers=headers)
        return replace(request, headers=headers, scope=scope.around(parent.context))

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        self._progress.is_stream = is_stream
        if is_stream:
            self._progress.first_chunk_at = time.perf_counter()

    def charged(self, charge: Charge) -> None:
        self._progress.charges += (charge,)
        record_cost(self._sinks.metrics, self._sinks.models, charge, _MIRRORED)

    def summarised(self, summary: AnswerSummary) -> None:
        self._progress.summary = summary

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        span, ending = self._span, Ending.of(time.perf_counter(), status, error, usage)
        try:
            if span.is_recording():
                span.set_attributes(end_attributes(self._progress, ending, self._kind))
                if ending.is_failure:
                    span.set_status(Status(StatusCode.ERROR))
        finally:
            span.end()


def record_outcome(sinks: Sinks, selection: Selection | None, outcome: MirrorOutcome) -> None:
    """Record the outcome of a copy."""
    provider = (semconv.PROVIDER_NAME, outcome.provider)
    sinks.metrics.mirrors.add(1, (provider, (semconv.MIRROR_RESULT, outcome.result)))
    if outcome.mirror is not None and outcome.result == "success":
        sinks.metrics.mirror_duration.record(outcome.mirror.duration_s, dict([provider]))
    has_listener = mirror_logger.isEnabledFor(logging.INFO)
    if has_listener or sinks.events.is_exported:
        route = None if selection is None else selection.route
        rule = None if selection is None else selection.rule
        sinks.events.emit_mirror(mirror_record(outcome, route, rule))
