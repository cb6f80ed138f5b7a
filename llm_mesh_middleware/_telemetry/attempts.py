"""Spans of single attempts, below the span of the call."""

from __future__ import annotations

import time
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from .._core.messages import Failure, ResponseHead, UpstreamRequest
from . import semconv
from .request_facts import AttributeValue

__all__ = ["AttemptSpans", "SpanMode"]

SpanMode = Literal["on_retry", "always", "never"]


class AttemptSpans:
    """One CLIENT span per attempt: always, never, or once there is more than one.

    Whether there will be a second is known late, so the first one's times are kept, and its span is
    made when the second begins.
    """

    def __init__(self, tracer: Tracer, mode: SpanMode) -> None:
        self._tracer = tracer
        self._mode = mode
        self.count = 0
        self._open: Span | None = None
        self._first: tuple[UpstreamRequest, int] | None = None
        self._first_ended: tuple[ResponseHead | Failure, int] | None = None

    def begin(self, request: UpstreamRequest, context: Context) -> Context:
        """An attempt is made; the context that its request carries."""
        self.count += 1
        if self._mode == "never":
            return context
        if self._mode == "on_retry" and self.count == 1:
            self._first = request, time.time_ns()
            return context
        self._make_first(context)
        self.close()
        self._open = self._start(request, context, self.count - 1, None)
        return trace.set_span_in_context(self._open, context)

    def end(self, answer: ResponseHead | Failure) -> None:
        """The attempt has brought an answer's head, or failed."""
        if self._open is not None:
            _tell(self._open, answer)
            self.close()
        elif self._first is not None and self._first_ended is None:
            self._first_ended = answer, time.time_ns()

    def close(self) -> None:
        """End a span that got no answer, such as that of a cancelled call."""
        span, self._open = self._open, None
        if span is not None:
            span.end()

    def _make_first(self, context: Context) -> None:
        first, ended, self._first = self._first, self._first_ended, None
        if first is None:
            return
        span = self._start(first[0], context, 0, first[1])
        if ended is not None:
            _tell(span, ended[0])
        span.end(ended[1] if ended is not None else None)

    def _start(
        self, request: UpstreamRequest, context: Context, resends: int, start_ns: int | None
    ) -> Span:
        endpoint = request.endpoint
        path = request.target.partition("?")[0]
        attributes: dict[str, AttributeValue] = {
            semconv.HTTP_METHOD: request.method,
            semconv.SERVER_ADDRESS: endpoint.provider_host,
            semconv.SERVER_PORT: endpoint.port,
            semconv.URL_FULL: f"{endpoint.scheme}://{endpoint.provider_host}{path}",
            semconv.PROVIDER_NAME: request.provider,
        }
        if resends:
            attributes[semconv.HTTP_RESEND_COUNT] = resends
        return self._tracer.start_span(
            request.method, context, SpanKind.CLIENT, attributes=attributes, start_time=start_ns
        )


def _tell(span: Span, answer: ResponseHead | Failure) -> None:
    if not span.is_recording():
        return
    if isinstance(answer, Failure):
        span.set_attribute(semconv.ERROR_TYPE, answer.error.code)
        span.set_status(Status(StatusCode.ERROR))
        return
    span.set_attribute(semconv.HTTP_STATUS, answer.status)
    if answer.status >= 400:
        span.set_attribute(semconv.ERROR_TYPE, str(answer.status))
        span.set_status(Status(StatusCode.ERROR))
