"""One exchange as telemetry sees it: its spans, its metrics, its access record."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from .._core.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.observer import Observation
from .._core.routing import Selection
from .._core.summary import AnswerSummary
from .._core.usage import Usage
from ..exceptions import AnswerableError, ClientDisconnected
from . import semconv
from .access_log import Value, access_logger, clean, log_call
from .attempts import AttemptSpans
from .metrics import CallRecord
from .propagation import incoming_context, with_trace
from .request_facts import AttributeValue, request_attributes

if TYPE_CHECKING:
    from .telemetry import Telemetry

__all__ = ["CallObservation"]

_OTHER = "_other"
_ACTIVE: dict[str, str] = {}


class CallObservation(Observation):
    """Follows one exchange; everything is recorded when it ends."""

    def __init__(self, telemetry: Telemetry, request: ClientRequest) -> None:
        self._telemetry = telemetry
        self._request = request
        self._started = time.perf_counter()
        self._sent_at: float | None = None
        self._first_chunk_at: float | None = None
        self._selection: Selection | None = None
        self._last: UpstreamRequest | None = None
        self._first_host = ""
        self._summary: AnswerSummary | None = None
        self._is_stream = False
        self._span: Span | None = None
        self._upstream_id: str | None = None
        self._context, has_parent = incoming_context(request.headers)
        self._server = None if has_parent else telemetry.start_server_span(request, self._context)
        if self._server is not None:
            self._context = trace.set_span_in_context(self._server, self._context)
        self._attempts = AttemptSpans(telemetry.tracer, telemetry.attempt_spans)
        telemetry.metrics.active.add(1, _ACTIVE)

    def selected(self, selection: Selection) -> None:
        self._selection = selection

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        now = time.perf_counter()
        if self._span is None:
            self._sent_at = now
            self._first_host = request.endpoint.provider_host
            self._span = self._telemetry.tracer.start_span(
                self._span_name(request),
                self._context,
                SpanKind.CLIENT,
                attributes=self._start_attributes(request),
            )
            self._context = trace.set_span_in_context(self._span, self._context)
            if self._span.is_recording():
                self._span.set_attributes(request_attributes(self._request.fields))
        elif request.endpoint.provider_host != self._first_host:
            self._telemetry.metrics.fallbacks.add(
                1,
                {
                    semconv.FALLBACK_FROM: self._first_host,
                    semconv.FALLBACK_TO: request.endpoint.provider_host,
                },
            )
        self._last = request
        context = self._attempts.begin(request, self._context)
        return replace(
            request,
            headers=with_trace(request.headers, context),
            scope=self._scope(context),
        )

    def answered(self, answer: ResponseHead | Failure) -> None:
        self._attempts.end(answer)
        is_failure = isinstance(answer, Failure)
        failed = answer.error.code if isinstance(answer, Failure) else None
        if isinstance(answer, ResponseHead):
            self._upstream_id = answer.headers.get("x-request-id")
            failed = str(answer.status) if answer.status >= 400 else None
        if self._last is not None:
            labels = {
                semconv.PROVIDER_NAME: self._last.provider,
                semconv.ATTEMPT_OUTCOME: "error" if is_failure or failed else "success",
            }
            if failed is not None:
                labels[semconv.ERROR_TYPE] = failed
            self._telemetry.metrics.attempts.add(1, labels)

    def replying(self, *, is_stream: bool) -> None:
        self._is_stream = is_stream
        if is_stream:
            self._first_chunk_at = time.perf_counter()

    def summarised(self, summary: AnswerSummary) -> None:
        self._summary = summary

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        ended_at = time.perf_counter()
        error_type = _error_type(status, error)
        self._telemetry.metrics.active.add(-1, _ACTIVE)
        if self._span is not None:
            self._end_span(self._span, status, error, error_type, usage)
        if self._server is not None:
            self._telemetry.end_server_span(self._server, self._selection, status, error_type)
        if self._last is not None:
            self._telemetry.metrics.record(self._record(ended_at, status, error_type, usage))
        if access_logger.isEnabledFor(20):
            log_call(self._fields(ended_at, status, error_type, usage))

    def _scope(self, context: Context) -> Callable[[], AbstractContextManager[None]]:
        return self._telemetry.scope(context)

    def _span_name(self, request: UpstreamRequest) -> str:
        return f"{self._operation} {request.model}" if request.model else self._operation

    @property
    def _operation(self) -> str:
        operation = self._request.operation
        return operation.name if operation is not None else _OTHER

    def _start_attributes(self, request: UpstreamRequest) -> dict[str, AttributeValue]:
        """What a sampler may decide on, and what routing has decided."""
        host = request.endpoint.provider_host
        found: dict[str, AttributeValue] = {
            semconv.OPERATION: self._operation,
            semconv.PROVIDER: semconv.provider_name(host, request.provider),
            semconv.SERVER_ADDRESS: host,
            semconv.SERVER_PORT: request.endpoint.port,
            semconv.VIRTUAL_HOST: self._request.host,
        }
        if request.model is not None:
            found[semconv.REQUEST_MODEL] = request.model
        if self._request.model is not None:
            found[semconv.ASKED_MODEL] = self._request.model[:256]
        if self._selection is not None:
            found[semconv.ROUTE_NAME] = self._selection.route
            found[semconv.RULE_NAME] = self._selection.rule.name
        if "consumer" in self._request.attributes:
            found[semconv.CONSUMER] = self._request.attributes["consumer"]
        if self._operation in ("chat", "responses"):
            kind = "chat_completions" if self._operation == "chat" else "responses"
            found[semconv.OPENAI_API_TYPE] = kind
        return found

    def _end_span(
        self,
        span: Span,
        status: int | None,
        error: BaseException | None,
        error_type: str | None,
        usage: Usage | None,
    ) -> None:
        if span.is_recording():
            span.set_attributes(self._end_attributes(status, error, error_type, usage))
            self._telemetry.capture(span, self._request, self._summary)
            if error_type is not None and not isinstance(error, ClientDisconnected):
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    def _end_attributes(
        self,
        status: int | None,
        error: BaseException | None,
        error_type: str | None,
        usage: Usage | None,
    ) -> dict[str, AttributeValue]:
        last = self._last
        assert last is not None
        host = last.endpoint.provider_host
        found: dict[str, AttributeValue] = {
            semconv.PROVIDER_NAME: last.provider,
            semconv.ATTEMPT_COUNT: self._attempts.count,
            semconv.USAGE_SOURCE: "none" if usage is None else "provider",
        }
        if host != self._first_host:  # the provider that has answered is not the one of the start
            found |= self._start_attributes(last) | {semconv.IS_FALLBACK: True}
        if self._sent_at is not None:
            found[semconv.OVERHEAD] = self._sent_at - self._started
        if status is not None:
            found[semconv.HTTP_STATUS] = status
        if error_type is not None:
            found[semconv.ERROR_TYPE] = error_type
        if self._upstream_id is not None:
            found[semconv.UPSTREAM_REQUEST_ID] = self._upstream_id[:256]
        if self._is_stream:
            found[semconv.REQUEST_STREAM] = True
            found[semconv.STREAM_OUTCOME] = _outcome(error)
            if (seconds := self._first_chunk_s) is not None:
                found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
        found |= _usage_attributes(usage)
        if self._summary is not None:
            found |= _summary_attributes(self._summary, is_whole=error is None)
        return found

    @property
    def _first_chunk_s(self) -> float | None:
        if self._first_chunk_at is None or self._sent_at is None:
            return None
        return self._first_chunk_at - self._sent_at

    def _record(
        self, ended_at: float, status: int | None, error_type: str | None, usage: Usage | None
    ) -> CallRecord:
        last = self._last
        assert last is not None and self._sent_at is not None
        host = last.endpoint.provider_host
        model = self._telemetry.known_model(last.model)
        labels: list[tuple[str, str | int]] = [
            (semconv.OPERATION, self._operation),
            (semconv.PROVIDER, semconv.provider_name(host, last.provider)),
            (semconv.SERVER_ADDRESS, host),
            (semconv.SERVER_PORT, last.endpoint.port),
        ]
        if model is not None:
            labels.append((semconv.REQUEST_MODEL, model))
        if self._selection is not None:
            labels.append((semconv.ROUTE_NAME, self._selection.route))
        if self._summary is not None and self._summary.model is not None:
            seen = self._telemetry.seen_model(self._summary.model)
            labels.append((semconv.RESPONSE_MODEL, seen))
        return CallRecord(
            labels=tuple(labels),
            error_type=error_type,
            duration_s=ended_at - self._sent_at,
            first_chunk_s=self._first_chunk_s,
            overhead_s=self._sent_at - self._started,
            usage=usage,
            has_answer=status is not None and status < 400 and self._operation != "models",
            destination=host,
            model=model or "",
            context=self._context,
        )

    def _fields(
        self, ended_at: float, status: int | None, error_type: str | None, usage: Usage | None
    ) -> dict[str, Value]:
        last, selection, summary = self._last, self._selection, self._summary
        span = (self._span or trace.INVALID_SPAN).get_span_context()
        model = last.model if last is not None else None
        sent, first = self._sent_at, self._first_chunk_s
        return {
            "request_model": clean(model) if model is not None else None,
            "request_prompt_tokens": usage.input_tokens if usage is not None else None,
            "request_completion_tokens": usage.output_tokens if usage is not None else None,
            "request_cached_tokens": usage.cache_read_tokens if usage is not None else None,
            "request_reasoning_tokens": usage.reasoning_tokens if usage is not None else None,
            "authority": self._request.host,
            "method": clean(self._request.method),
            "path": clean(self._request.path),
            "status": status,
            "duration_ms": round((ended_at - self._started) * 1000, 3),
            "overhead_ms": round((sent - self._started) * 1000, 3) if sent is not None else None,
            "ttfc_ms": round(first * 1000, 3) if first is not None else None,
            "route": selection.route if selection is not None else None,
            "rule": selection.rule.name if selection is not None else None,
            "provider": last.provider if last is not None else None,
            "upstream_host": last.endpoint.provider_host if last is not None else None,
            "response_model": clean(summary.model) if summary and summary.model else None,
            "finish_reasons": [clean(r) for r in summary.finish_reasons] if summary else None,
            "stream": self._is_stream,
            "attempts": self._attempts.count,
            "error_type": error_type,
            "consumer": self._request.attributes.get("consumer"),
            "request_id": clean(self._upstream_id) if self._upstream_id else None,
            "trace_id": trace.format_trace_id(span.trace_id) if span.is_valid else None,
            "span_id": trace.format_span_id(span.span_id) if span.is_valid else None,
        }


def _error_type(status: int | None, error: BaseException | None) -> str | None:
    """Of low cardinality: a code of the mesh's own, or a status of the provider's."""
    if isinstance(error, ClientDisconnected):
        return "client_disconnect"
    if isinstance(error, AnswerableError):
        return error.code
    if error is not None:
        return "cancelled"
    return str(status) if status is not None and status >= 400 else None


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "complete"
    if isinstance(error, ClientDisconnected):
        return "client_disconnect"
    is_timeout = isinstance(error, AnswerableError) and error.code == "upstream_timeout"
    return "timeout" if is_timeout else "upstream_aborted"


def _usage_attributes(usage: Usage | None) -> dict[str, AttributeValue]:
    if usage is None:
        return {}
    found: dict[str, AttributeValue] = {
        semconv.USAGE_INPUT: usage.input_tokens,
        semconv.USAGE_OUTPUT: usage.output_tokens,
    }
    if usage.cache_read_tokens:
        found[semconv.USAGE_CACHE_READ] = usage.cache_read_tokens
    if usage.cache_write_tokens:
        found[semconv.USAGE_CACHE_WRITE] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        found[semconv.USAGE_REASONING] = usage.reasoning_tokens
    return found


def _summary_attributes(summary: AnswerSummary, *, is_whole: bool) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    if summary.events:
        found[semconv.CHUNK_COUNT] = summary.events
    if summary.id is not None:
        found[semconv.RESPONSE_ID] = summary.id[:256]
    if summary.model is not None:
        found[semconv.RESPONSE_MODEL] = summary.model[:256]
    if summary.system_fingerprint is not None:
        found[semconv.OPENAI_FINGERPRINT] = summary.system_fingerprint[:256]
    if summary.service_tier is not None:
        found[semconv.OPENAI_RESPONSE_TIER] = summary.service_tier[:256]
    reasons = summary.finish_reasons if is_whole else (*summary.finish_reasons, "error")
    if reasons:
        found[semconv.RESPONSE_FINISH_REASONS] = reasons
    return found
