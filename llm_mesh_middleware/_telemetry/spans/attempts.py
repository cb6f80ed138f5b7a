"""The attempts of a call: their requests and responses, and the spans below the call's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from ..._core.private import PerCall
from ..._core.values.messages import Failure, ResponseHead, UpstreamRequest
from .. import semconv
from .propagation import LazyContext
from .request_attributes import AttributeValue

__all__ = ["Attempt", "AttemptSpans", "SpanMode"]

SpanMode = Literal["on_retry", "always", "never"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Attempt(PerCall):
    """One attempt; `ended_ns` is when its response's head had come, or it had failed.

    `failure` is its `error.type`, None for a success. `was_replaced`: another attempt began after
    it had ended.
    """

    request: UpstreamRequest
    begun_ns: int
    span: Span | None = None
    status: int | None = None
    failure: str | None = None
    ended_ns: int | None = None
    was_replaced: bool = False

    def end(self, answer: ResponseHead | Failure) -> None:
        """End the attempt, which has a response head or has failed."""
        self.ended_ns = time.time_ns()
        if answer.__class__ is Failure:
            self.failure = answer.error.code
        else:
            self.status = status = answer.status  # type: ignore[union-attr]
            if status >= 400:
                self.failure = str(status)
        if self.span is not None:
            _finish(self.span, self)

    def drop(self) -> None:
        """End the span of an attempt without a response, such as that of a cancelled call."""
        if self.span is not None:
            self.span.end()


class AttemptSpans:
    """One CLIENT span per attempt: always, never, or only for calls with more than one attempt.

    The first attempt cannot know whether a second will follow. Hence its times are kept, and its
    span is made when the second begins. Two attempts may run at once.
    """

    def __init__(self, tracer: Tracer, mode: SpanMode, has_others: Callable[[], bool]) -> None:
        """`has_others` returns whether the HTTP client makes these spans instead."""
        self._tracer = tracer
        self._mode = mode
        self._has_others = has_others

    def begin(
        self,
        made: dict[int, Attempt],
        request: UpstreamRequest,
        parent: LazyContext,
        begun_ns: int,
    ) -> LazyContext:
        """Begin an attempt below `parent`, and return the context that its request carries.

        `made` are the attempts of the call so far, and gets the new one.
        """
        mode = self._mode
        if not made and mode != "always":
            made[request.attempt] = Attempt(request, begun_ns)
            return parent
        for earlier in made.values():
            earlier.was_replaced = earlier.ended_ns is not None
        attempt = made[request.attempt] = Attempt(request, begun_ns)
        if mode == "never" or self._has_others():
            return parent
        for each in made.values():
            if each.span is None:
                self._start(each, parent)
        return parent if attempt.span is None else LazyContext(parent.context, attempt.span)

    def _start(self, attempt: Attempt, parent: LazyContext) -> None:
        request = attempt.request
        attributes: dict[str, AttributeValue] = {
            semconv.HTTP_METHOD: request.method,
            semconv.SERVER_ADDRESS: request.endpoint.provider_host,
            semconv.SERVER_PORT: request.endpoint.port,
            semconv.URL_FULL: _url(request),
            semconv.PROVIDER_NAME: request.provider,
        }
        if request.attempt > 1:
            attributes[semconv.HTTP_RESEND_COUNT] = request.attempt - 1
        attempt.span = self._tracer.start_span(
            request.method,
            parent.context,
            SpanKind.CLIENT,
            attributes=attributes,
            start_time=attempt.begun_ns,
        )
        if attempt.ended_ns is not None:
            _finish(attempt.span, attempt)


def _url(request: UpstreamRequest) -> str:
    """Return the URL without its query, in which some providers expect a key."""
    endpoint = request.endpoint
    is_default = _DEFAULT_PORTS.get(endpoint.scheme) == endpoint.port
    port = "" if is_default else f":{endpoint.port}"
    path = request.target.partition("?")[0]
    return f"{endpoint.scheme}://{endpoint.provider_host}{port}{path}"


def _finish(span: Span, attempt: Attempt) -> None:
    if attempt.status is not None:
        span.set_attribute(semconv.HTTP_STATUS, attempt.status)
    if attempt.failure is not None:
        span.set_attribute(semconv.ERROR_TYPE, attempt.failure)
        span.set_status(Status(StatusCode.ERROR))
    span.end(attempt.ended_ns)
