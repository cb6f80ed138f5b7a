"""Records one exchange: its spans, its metrics, its access record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from .._core.flow.mirrors.outcome import MirrorOutcome
from .._core.flow.observer import Observation
from .._core.pricing.charge import Charge
from .._core.values.decision import Decision
from .._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.values.selection import Selection
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage
from . import semconv
from .ending import Ending
from .guard import Guarded
from .metrics.costs import record_cost
from .metrics.labels import attempt_labels
from .metrics.ledger import Account
from .metrics.policies import notable
from .metrics.rows import CallRow
from .metrics.tallies import Labels
from .mirrors import MirrorObservation, record_outcome
from .progress import CallProgress
from .records.access_log import access_logger, clean
from .records.access_record import access_record
from .records.direct import direct_handler
from .sinks import Sinks
from .spans.attempts import Attempt
from .spans.call_attributes import own_attributes, start_attributes
from .spans.call_ends import CallEnd
from .spans.call_kinds import CallKind
from .spans.propagation import (
    LazyContext,
    Propagation,
    active_context,
    incoming_context,
    linked_spans,
    propagation_now,
    with_trace,
    without_baggage,
)

__all__ = ["CallObservation"]

# The error type of an attempt whose head was a success, but whose body was not.
_UNUSABLE = "unusable_response"

_CLIENT = SpanKind.CLIENT  # a member of an enum is looked up by a call


class CallObservation(Observation):
    """Follows one exchange; most of it is recorded when the exchange ends.

    The first failure of telemetry itself is kept until the end, and logged after everything that
    can still be recorded has been.
    """

    handles_failures = True
    _span: Span | None = None
    _lazy: LazyContext | None = None
    _is_traced = True
    _kind: CallKind | None = None
    _last_kind: CallKind | None = None
    _end: CallEnd | None = None
    _has_sole_attempt = False
    _chunk_at: float | None = None
    _chunk_account: Account | None = None

    def __init__(self, sinks: Sinks, request: ClientRequest) -> None:
        self._sinks = sinks
        self._progress = CallProgress(request, time.perf_counter())
        self.wants_chunks, self.detail = sinks.has_chunk_metrics, "facts"
        self._links: tuple[Link, ...] = ()
        self._failure: Exception | None = None
        self._propagation: Propagation | None = None
        try:
            self._propagation = propagation = propagation_now()
            context, has_parent, self._is_traced = incoming_context(request.headers, propagation)
            if has_parent:
                self._links = linked_spans(request.headers, context)
        except Exception as failure:  # the application's propagator
            self._failure = failure
            context, has_parent = active_context()
        self._context = context
        self._server = None
        if sinks.server_spans is not None and request.is_inbound and not has_parent:
            self._server = sinks.server_spans.begin(request, context)
        self._made: dict[int, Attempt] = {}
        sinks.metrics.active.begin(id(self))

    def understood(self, request: ClientRequest) -> None:
        self._progress.request = request
        if self._server is not None:
            self._server.understood(request)

    def selected(self, selection: Selection) -> None:
        self._progress.selection = selection
        if selection.lacks_sticky_key:
            rule = ((semconv.ROUTE_NAME, selection.route), (semconv.RULE_NAME, selection.rule))
            self._sinks.metrics.sticky_missing.add(1, rule)

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        sinks, progress, begun_ns, has_none = self._sinks, self._progress, time.time_ns(), False
        progress.last = request
        progress.attempts += 1
        if progress.first is None:
            progress.first = request
            progress.sent_at = time.perf_counter()
            self._kind = kind = sinks.kinds.of(progress, request, self._propagation)
            has_none = kind.untraced is self._propagation
            try:
                self._begin_span(kind, begun_ns)
            except Exception as failure:  # a sampler or a span processor of the application
                self._failure = self._failure or failure
        parent, headers, scope = self._lazy or self._parent, request.headers, sinks.client_scope
        try:
            parent = sinks.attempt_spans.begin(self._made, request, parent, begun_ns)
            # Fields are the client's or from the provider's configuration.
            has_none = has_none and not self._is_traced
            headers = with_trace(headers, parent, self._propagation, has_none=has_none)
        except Exception as failure:  # as above, or the application's propagator
            self._failure = self._failure or failure
        if not scope.is_needed:
            return replace(request, headers=headers)
        context = without_baggage(parent.context)
        return replace(request, headers=headers, scope=scope.around(context))

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        found = self._made.get(attempt)
        if found is None:
            return
        try:
            found.end(answer)
        except Exception as failure:  # a span processor of the application
            self._failure = self._failure or failure
        self._progress.answered(found.request, answer)
        if found.failure is not None:
            labels = attempt_labels(found.request.provider, found.failure)
            self._sinks.metrics.attempts.add(1, labels)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        progress, found = self._progress, self._made.get(attempt)
        progress.last = None if found is None else found.request
        progress.is_stream = is_stream
        if is_stream:
            progress.first_chunk_at = time.perf_counter()

    def chunks(self, count: int) -> None:
        now = time.perf_counter()
        before, self._chunk_at = self._chunk_at, now
        seconds = [0.0] * count  # they have arrived together
        if before is None:
            seconds.pop()
        else:
            seconds[0] = now - before
        if self._chunk_account is None and (kind := self._kind_of_last()) is not None:
            # The model of the response is not known yet.
            self._chunk_account = self._sinks.kinds.account(kind, None, None)
        if self._chunk_account is not None:
            try:
                self._sinks.metrics.record_chunks(seconds, self._chunk_account.labels)
            except Exception as failure:  # an exemplar reservoir of the application
                self._failure = self._failure or failure

    def decided(self, decision: Decision) -> None:
        self._progress.decisions += (decision,)
        self._sinks.metrics.policies.decided(decision)

    def expired(self, decision: Decision, count: int) -> None:
        self._sinks.metrics.policies.expired(decision, count)

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        self._sinks.metrics.policies.settled(decision, reserved, used)

    def charged(self, charge: Charge) -> None:
        self._progress.charges += (charge,)

    def mirroring(self, request: ClientRequest) -> Observation:
        origin = (self._span or trace.INVALID_SPAN).get_span_context()
        mirror = MirrorObservation(self._sinks, request, self._progress.selection, origin)
        return Guarded(self.log_failure, mirror)

    def mirrored(self, outcome: MirrorOutcome) -> None:
        try:
            record_outcome(self._sinks, self._progress.selection, outcome)
        except Exception:  # a log handler of the application; the call may have ended
            self.log_failure()

    def summarised(self, summary: AnswerSummary) -> None:
        self._progress.summary = summary

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        now, is_success = time.perf_counter(), error is None and status is not None and status < 400
        ending = (
            Ending(now, status, None, usage, None)
            if is_success
            else Ending.of(now, status, error, usage)
        )
        progress, kind = self._progress, self._kind
        if progress.last is not progress.first:
            kind = self._kind_of_last()
        self._last_kind = kind
        self._end = None if kind is None else self._sinks.kinds.end(kind, progress, ending)
        for step in _LAST_STEPS if self._server is None else _LAST_STEPS_OF_SERVER:
            try:
                step(self, ending)
            except Exception as failure:  # the remaining steps still run
                self._failure = self._failure or failure
        if self._failure is not None:
            self.log_failure(self._failure)

    def _end_attempts(self, ending: Ending) -> None:
        metrics, last, made = self._sinks.metrics, self._progress.last, self._made
        metrics.active.end(id(self))
        if ending.error_type is None and len(made) == 1 and last is not None:
            sole = made.get(last.attempt)
            if sole is not None and sole.ended_ns is not None and sole.failure is None:
                self._has_sole_attempt = True  # counted with the call
                return
        for attempt in made.values():
            if attempt.ended_ns is None:
                attempt.drop()
            elif attempt.failure is None:
                request, failed = attempt.request, _UNUSABLE if attempt.was_replaced else None
                if request is last and ending.error_type is not None:
                    failed = ending.failure_of_provider  # a stream may break off after its head
                metrics.attempts.add(1, attempt_labels(request.provider, failed))

    def _end_span(self, ending: Ending) -> None:
        span, content = self._span, self._sinks.content
        if span is None:
            return
        try:
            self._describe(span, ending)
            if ending.error is not None:
                self._sinks.events.emit_exception(ending, trace.set_span_in_context(span))
            if content.is_wanted:
                context, progress = trace.set_span_in_context(span), self._progress
                content.write(span, context, progress.request, progress.summary)
        finally:
            span.end()

    def _end_server_span(self, ending: Ending) -> None:
        if self._server is None:
            return
        self._server.end(
            self._progress.route,
            ending.status,
            ending.error_type,
            notable(self._progress.decisions) if self._span is None else (),
        )
        if self._span is None:
            self._lazy = LazyContext(self._server.context)

    @property
    def _parent(self) -> LazyContext:
        """The context of what belongs to the call, made when it is first needed."""
        made = self._lazy
        if made is None:
            made = self._lazy = LazyContext(self._context)
        return made

    def _begin_span(self, kind: CallKind, begun_ns: int) -> None:
        progress, context = self._progress, self._context
        if self._server is not None:
            context = self._server.begin_span(progress.route)
            self._lazy = LazyContext(context)  # if the tracer fails
        attributes = kind.attributes
        if progress.request.attributes:
            attributes = start_attributes(kind, progress.request)
        self._started_with = attributes
        self._span = span = self._sinks.tracer.start_span(
            kind.span_name, context, _CLIENT, attributes, self._links, begun_ns
        )
        self._lazy = LazyContext(context, span)

    def _describe(self, span: Span, ending: Ending) -> None:
        progress, kind, end = self._progress, self._last_kind, self._end
        set_distinct = getattr(span, "set_distinct", None)  # of a deferred span, which records
        if set_distinct is None and not span.is_recording():
            return
        if ending.error_type is not None and ending.is_failure:
            span.set_status(Status(StatusCode.ERROR))
        if kind is None or end is None:
            return
        own, known = own_attributes(progress, ending, kind.has_output), end.attributes
        if kind is self._kind:
            if set_distinct is not None:
                set_distinct(self._started_with, known, own)
                return
        else:
            span.update_name(kind.span_name)
            first, last = progress.first, progress.last
            if first and last and first.endpoint.provider_host != last.endpoint.provider_host:
                # The provider of the response is not the one of the first attempt.
                span.set_attributes(start_attributes(kind, progress.request))
        span.set_attributes({**known, **own})

    def _record(self, ending: Ending) -> None:
        progress, end, metrics = self._progress, self._end, self._sinks.metrics
        if progress.last is None or end is None:
            metrics.requests.add(1, self._refusal_labels(ending.error_type))
        else:
            sent_at = progress.started_at if progress.sent_at is None else progress.sent_at
            row = CallRow(
                ending.at - sent_at,
                sent_at - progress.started_at,
                progress.first_chunk_s if progress.is_stream else None,
                ending.usage,
                ending.status is not None and ending.status < 400,
                self._has_sole_attempt,
                self._parent if metrics.has_exemplars else None,
            )
            if metrics.has_exemplars:
                metrics.record(end.account, row, ending.at)
            else:
                metrics.ledger.add(end.account, row)
            if end.fallback is not None:
                metrics.fallbacks.add(1, end.fallback)
            if end.dropped:
                for field in self._sinks.fields.labels(end.dropped):
                    metrics.dropped.add(1, ((semconv.DROPPED_FIELD, field),))
        for charge in progress.charges:
            self._record_cost(charge)

    def _record_cost(self, charge: Charge) -> None:
        sinks, attributes = self._sinks, self._progress.request.attributes
        labels: Labels = ()
        if "consumer" in attributes:
            labels = (*labels, (semconv.CONSUMER, clean(attributes["consumer"])))
        for name in sinks.cost_attributes:
            if name in attributes:
                labels = (*labels, (semconv.ATTRIBUTE_PREFIX + name, clean(attributes[name])))
        record_cost(sinks.metrics, sinks.models, charge, labels)

    def _refusal_labels(self, error_type: str | None) -> Labels:
        """Return the labels of the request counter for a call without an attempt."""
        selection = self._progress.selection
        found: Labels = ((semconv.OPERATION, self._progress.operation),)
        if selection is not None:
            rule = (semconv.ROUTE_NAME, selection.route), (semconv.RULE_NAME, selection.rule)
            found = (*found, *rule)
        if error_type is not None:
            found = (*found, (semconv.ERROR_TYPE, error_type))
        return found

    def _kind_of_last(self) -> CallKind | None:
        """Return the kind of the last attempt; None without one."""
        progress = self._progress
        if progress.last is progress.first or progress.last is None:
            return self._kind
        return self._sinks.kinds.of(progress, progress.last)

    def _write_record(self, ending: Ending) -> None:
        events = self._sinks.events
        if ending.at >= events.recheck_at:
            events.look(ending.at)
        if not events.was_exported:
            if not access_logger.isEnabledFor(logging.INFO):
                return
            if (handler := direct_handler()) is not None:
                handler.write_call(
                    self._progress, ending.at, ending.status, ending.usage, ending.error_type
                )
                return
        span = (self._span or trace.INVALID_SPAN).get_span_context()
        events.emit_call(access_record(self._progress, ending, span), self._parent.context)


_Steps = tuple[Callable[[CallObservation, Ending], None], ...]
_END_SPANS: _Steps = CallObservation._end_attempts, CallObservation._end_span
_WRITE: _Steps = CallObservation._record, CallObservation._write_record
_LAST_STEPS: _Steps = (*_END_SPANS, *_WRITE)
_LAST_STEPS_OF_SERVER: _Steps = (*_END_SPANS, CallObservation._end_server_span, *_WRITE)
