"""One exchange as telemetry sees it: its spans, its metrics, its access record."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from .._core.flow.observer import Observation
from .._core.routing.table import Selection
from .._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage
from . import semconv
from .access_log import Value, clean
from .answer_facts import Ending, tell_summary, tell_usage
from .attempts import Attempts, failure_of
from .labels import CallLabels, call_labels
from .metrics import CallRecord
from .propagation import active_context, incoming_context, linked_spans, with_trace, without_baggage
from .request_facts import AttributeValue, request_attributes
from .tallies import Labels

if TYPE_CHECKING:
    from .telemetry import Telemetry

__all__ = ["CallObservation"]

_OTHER = "_other"
_MAX_TEXT = 256
_MAX_FACTS = 16
_CONSUMER = "consumer"
_API_TYPES = {"/chat/completions": "chat_completions", "/responses": "responses"}


class CallObservation(Observation):
    """Follows one exchange; everything is recorded when it ends."""

    # What is not known yet.
    _sent_at: float | None = None
    _first_chunk_at: float | None = None
    _selection: Selection | None = None
    _last: UpstreamRequest | None = None
    _first: UpstreamRequest | None = None
    _summary: AnswerSummary | None = None
    _is_stream = False
    _span: Span | None = None
    _chunk_at: float | None = None
    _chunk_labels: CallLabels | None = None
    # The first failure of telemetry itself. It is raised when the call ends: what can still be
    # recorded is recorded before.
    _failure: BaseException | None = None

    def __init__(self, telemetry: Telemetry, request: ClientRequest) -> None:
        self._telemetry = telemetry
        self._request = request
        self.wants_chunks = telemetry.has_chunk_metrics
        self._started = time.perf_counter()
        self._links: tuple[Link, ...] = ()
        try:
            self._context, has_parent = incoming_context(request.headers)
            if has_parent:
                self._links = linked_spans(request.headers, self._context)
        except Exception as failure:  # the application's propagator
            self._failure = failure
            self._context, has_parent = active_context()
        self._server = None
        if request.is_inbound and not has_parent:
            self._server = telemetry.server_spans.begin(request, self._context)
        self._attempts = Attempts(
            telemetry.tracer, telemetry.attempt_spans, telemetry.has_http_spans
        )
        telemetry.metrics.active.add(1)

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        before, self._last = self._last, request
        if self._first is None:
            self._first = request
            self._sent_at = time.perf_counter()
            try:
                self._begin_span(request)
            except Exception as failure:  # a sampler or a span processor of the application
                self._failure = self._failure or failure
        if before is not None and (was := _host(before)) != (now := _host(request)):
            hosts = ((semconv.FALLBACK_FROM, was), (semconv.FALLBACK_TO, now))
            self._telemetry.metrics.fallbacks.add(1, hosts)
        context, headers = self._context, request.headers
        try:
            context = without_baggage(self._attempts.begin(request, context))
            headers = with_trace(headers, context)
        except Exception as failure:  # as above, or the application's propagator
            self._failure = self._failure or failure
            context = without_baggage(context)
        return replace(request, headers=headers, scope=self._telemetry.scope(context))

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        request = self._attempts.end(attempt, answer)
        if request is None:
            return
        self._last = request
        provider = (semconv.PROVIDER_NAME, request.provider)
        failed = failure_of(answer)
        labels: Labels = (provider, (semconv.ATTEMPT_OUTCOME, "success"))
        if failed is not None:
            outcome = (semconv.ATTEMPT_OUTCOME, "error")
            labels = (provider, outcome, (semconv.ERROR_TYPE, failed))
        self._telemetry.metrics.attempts.add(1, labels)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        self._last = self._attempts.request(attempt)
        self._is_stream = is_stream
        if is_stream:
            self._first_chunk_at = time.perf_counter()

    def chunks(self, count: int) -> None:
        now = time.perf_counter()
        before, self._chunk_at = self._chunk_at, now
        seconds = [0.0] * count  # they have come together
        if before is None:
            seconds.pop()
        else:
            seconds[0] = now - before
        if self._chunk_labels is None and self._last is not None:
            self._chunk_labels = self._labels(self._last, None)  # which model answers is not known
        if self._chunk_labels is not None:
            self._telemetry.metrics.record_chunks(seconds, self._chunk_labels)

    def summarised(self, summary: AnswerSummary) -> None:
        self._summary = summary

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        ending = Ending.of(time.perf_counter(), status, error, usage)
        for step in _LAST_STEPS:
            try:
                step(self, ending)
            except BaseException as failure:  # does not keep the rest from being done
                self._failure = self._failure or failure
        if self._failure is not None:
            raise self._failure

    def _end_attempts(self, _: Ending) -> None:
        self._telemetry.metrics.active.add(-1)
        self._attempts.close()

    def _end_span(self, ending: Ending) -> None:
        if self._span is None:
            return
        try:
            self._tell_span(self._span, ending)
        finally:
            self._span.end()

    def _end_server_span(self, ending: Ending) -> None:
        if self._server is None:
            return
        self._server.end(self._route, ending.status, ending.error_type)
        if self._span is None:
            self._context = self._server.context

    @property
    def _operation(self) -> str:
        operation = self._request.operation
        return operation.name if operation is not None else _OTHER

    @property
    def _route(self) -> str | None:
        return self._selection.route if self._selection is not None else None

    def _begin_span(self, request: UpstreamRequest) -> None:
        if self._server is not None:
            self._context = self._server.begin_span(self._route)
        name = self._operation
        if request.model:
            name = f"{name} {clean(request.model)}"
        self._span = self._telemetry.tracer.start_span(
            name,
            self._context,
            SpanKind.CLIENT,
            attributes=self._start_attributes(request),
            links=self._links,
        )
        self._context = trace.set_span_in_context(self._span, self._context)

    def _start_attributes(self, request: UpstreamRequest) -> dict[str, AttributeValue]:
        """What a sampler may decide on, and what routing has decided."""
        client, selection, host = self._request, self._selection, _host(request)
        found: dict[str, AttributeValue] = {
            semconv.OPERATION: self._operation,
            semconv.PROVIDER: semconv.provider_name(host, request.provider),
            semconv.PROVIDER_NAME: request.provider,
            semconv.SERVER_ADDRESS: host,
            semconv.SERVER_PORT: request.endpoint.port,
            semconv.VIRTUAL_HOST: client.host,
        }
        if request.model is not None:
            found[semconv.REQUEST_MODEL] = request.model[:_MAX_TEXT]
        if (asked := client.model) is not None:
            found[semconv.ASKED_MODEL] = asked[:_MAX_TEXT]
        if selection is not None:
            found[semconv.ROUTE_NAME] = selection.route
            found[semconv.RULE_NAME] = selection.rule.name
        if client.attributes:
            for name, fact in islice(client.attributes.items(), _MAX_FACTS):
                known = semconv.CONSUMER if name == _CONSUMER else semconv.ATTRIBUTE_PREFIX + name
                found[known] = str(fact)[:_MAX_TEXT]
        operation = client.operation
        if operation is not None and operation.suffix in _API_TYPES:
            found[semconv.OPENAI_API_TYPE] = _API_TYPES[operation.suffix]
        return found

    def _tell_span(self, span: Span, ending: Ending) -> None:
        if span.is_recording():
            span.set_attributes(self._end_attributes(ending))
            if ending.is_failure:
                span.set_status(Status(StatusCode.ERROR))
        if ending.error is not None:
            self._telemetry.events.tell_exception(ending, trace.set_span_in_context(span))
        content = self._telemetry.content
        if content.targets or content.emits:
            context = trace.set_span_in_context(span)
            content.write(span, context, self._request, self._summary)

    def _end_attributes(self, ending: Ending) -> dict[str, AttributeValue]:
        last = self._last
        found = request_attributes(self._request.fields)
        found[semconv.ATTEMPT_COUNT] = self._attempts.count
        found[semconv.USAGE_SOURCE] = "none" if ending.usage is None else "provider"
        if self._first is not None and last is not None and _host(last) != _host(self._first):
            # The provider that has answered is not the one of the start.
            found |= self._start_attributes(last) | {semconv.IS_FALLBACK: True}
        if self._sent_at is not None:
            found[semconv.OVERHEAD] = self._sent_at - self._started
        if ending.status is not None:
            found[semconv.HTTP_STATUS] = ending.status
        if ending.error_type is not None:
            found[semconv.ERROR_TYPE] = ending.error_type
        if (upstream_id := self._upstream_id) is not None:
            found[semconv.UPSTREAM_REQUEST_ID] = upstream_id[:_MAX_TEXT]
        if last is not None and last.added_usage:
            found[semconv.USAGE_INJECTED] = True
        if self._is_stream:
            found[semconv.REQUEST_STREAM] = True
            found[semconv.STREAM_OUTCOME] = ending.outcome
        if (seconds := self._first_chunk_s) is not None:
            found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
        if ending.usage is not None:
            tell_usage(found, ending.usage, has_output=self._operation != "embeddings")
        if self._summary is not None:
            tell_summary(found, self._summary, is_whole=ending.error is None)
        return found

    @property
    def _upstream_id(self) -> str | None:
        last = self._last
        return None if last is None else self._attempts.header(last.attempt, "x-request-id")

    @property
    def _first_chunk_s(self) -> float | None:
        if self._first_chunk_at is None or self._sent_at is None:
            return None
        return self._first_chunk_at - self._sent_at

    def _record(self, ending: Ending) -> None:
        last, sent_at = self._last, self._sent_at
        if last is None or sent_at is None:
            return
        telemetry, summary, operation = self._telemetry, self._summary, self._operation
        labels = self._labels(last, summary.model if summary is not None else None)
        telemetry.metrics.record(
            CallRecord(
                labels=labels,
                error_type=ending.error_type,
                duration_s=ending.at - sent_at,
                first_chunk_s=self._first_chunk_s,
                overhead_s=sent_at - self._started,
                usage=ending.usage,
                has_answer=ending.status is not None and ending.status < 400,
                is_inference=operation != "models",
                has_output=operation != "embeddings",
                is_for_asm=telemetry.has_asm_metrics,
                context=self._context,
            )
        )

    def _labels(self, request: UpstreamRequest, seen: str | None) -> CallLabels:
        """What metrics are told apart by; `seen` is the model that has answered."""
        telemetry = self._telemetry
        return call_labels(
            (telemetry.workload, telemetry.namespace),
            self._operation,
            request.provider,
            (_host(request), request.endpoint.port),
            telemetry.known_model(request.model),
            telemetry.seen_model(seen) if seen is not None else None,
            self._route,
        )

    def _tell_call(self, ending: Ending) -> None:
        events = self._telemetry.events
        if events.wants_calls:
            events.tell_call(self._fields(ending), self._context)

    def _fields(self, ending: Ending) -> dict[str, Value]:
        last, selection, summary, usage = self._last, self._selection, self._summary, ending.usage
        span = (self._span or trace.INVALID_SPAN).get_span_context()
        sent, first, started = self._sent_at, self._first_chunk_s, self._started
        reasons = summary.finish_reasons[:16] if summary is not None else None
        return {
            "request_model": _cleaned(last.model if last is not None else self._request.model),
            "request_prompt_tokens": usage.input_tokens if usage is not None else None,
            "request_completion_tokens": usage.output_tokens if usage is not None else None,
            "request_cached_tokens": usage.cache_read_tokens if usage is not None else None,
            "request_cache_write_tokens": usage.cache_write_tokens if usage is not None else None,
            "request_reasoning_tokens": usage.reasoning_tokens if usage is not None else None,
            "authority": self._request.host,
            "method": clean(self._request.method),
            "path": clean(self._request.path),
            "status": ending.status,
            "duration_ms": round((ending.at - started) * 1000, 3),
            "overhead_ms": round((sent - started) * 1000, 3) if sent is not None else None,
            "ttfc_ms": round(first * 1000, 3) if first is not None else None,
            "route": selection.route if selection is not None else None,
            "rule": selection.rule.name if selection is not None else None,
            "provider": last.provider if last is not None else None,
            "upstream_host": _host(last) if last is not None else None,
            "response_model": _cleaned(summary.model) if summary is not None else None,
            "finish_reasons": [clean(r) for r in reasons if r] if reasons is not None else None,
            "stream": self._is_stream,
            "attempts": self._attempts.count,
            "outcome": ending.outcome if self._is_stream else None,
            "error_type": ending.error_type,
            "consumer": _cleaned(self._request.attributes.get("consumer")),
            "request_id": _cleaned(self._upstream_id),
            "trace_id": trace.format_trace_id(span.trace_id) if span.is_valid else None,
            "span_id": trace.format_span_id(span.span_id) if span.is_valid else None,
        }


_LAST_STEPS: tuple[Callable[[CallObservation, Ending], None], ...] = (
    CallObservation._end_attempts,
    CallObservation._end_span,
    CallObservation._end_server_span,
    CallObservation._record,
    CallObservation._tell_call,
)


def _host(request: UpstreamRequest) -> str:
    return request.endpoint.provider_host


def _cleaned(text: str | None) -> str | None:
    return None if text is None else clean(text)
