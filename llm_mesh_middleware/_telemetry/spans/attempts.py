"""The attempts of a call: their requests and responses, and the spans below the call's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from ..._core.values.messages import Failure, ResponseHead, UpstreamRequest
from .. import semconv
from .propagation import LazyContext
from .request_attributes import AttributeValue

__all__ = ["Attempts", "SpanMode", "failure_of"]

SpanMode = Literal["on_retry", "always", "never"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Attempt(msgspec.Struct):
    request: UpstreamRequest
    begun_ns: int
    span: Span | None = None
    answer: ResponseHead | Failure | None = None
    ended_ns: int | None = None
    was_replaced: bool = False  # another attempt began after this one's answer


class Attempts:
    """One CLIENT span per attempt: always, never, or only for calls with more than one attempt.

    The first attempt cannot know whether a second will follow. Hence its times are kept, and its
    span is made when the second begins. Two attempts may run at once.
    """

    def __init__(self, tracer: Tracer, mode: SpanMode, has_others: Callable[[], bool]) -> None:
        """`has_others` returns whether the HTTP client makes these spans instead."""
        self._tracer = tracer
        self._mode = mode
        self._has_others = has_others
        self._made: dict[int, _Attempt] = {}

    def begin(self, request: UpstreamRequest, parent: LazyContext) -> LazyContext:
        """Begin an attempt below `parent`, and return the context that its request carries."""
        for earlier in self._made.values():
            earlier.was_replaced = earlier.answer is not None
        attempt = _Attempt(request, time.time_ns())
        self._made[request.attempt] = attempt
        if self._mode == "never" or (self._mode == "on_retry" and len(self._made) == 1):
            return parent
        if self._has_others():
            return parent
        for each in self._made.values():
            if each.span is None:
                self._start(each, parent)
        return parent if attempt.span is None else LazyContext(parent.context, attempt.span)

    def end(self, number: int, answer: ResponseHead | Failure) -> UpstreamRequest | None:
        """End an attempt that has a response head or failed, and return its request."""
        attempt = self._made.get(number)
        if attempt is None:
            return None
        attempt.answer, attempt.ended_ns = answer, time.time_ns()
        _finish(attempt)
        return attempt.request

    def request(self, number: int) -> UpstreamRequest | None:
        """Return the request of an attempt."""
        attempt = self._made.get(number)
        return attempt.request if attempt is not None else None

    def header(self, number: int, name: str) -> str | None:
        """Return a field of an attempt's response."""
        attempt = self._made.get(number)
        if attempt is None or not isinstance(attempt.answer, ResponseHead):
            return None
        return attempt.answer.headers.get(name)

    def close(self) -> list[tuple[UpstreamRequest, bool]]:
        """Return the attempts that began with a success, and whether another one replaced it.

        End the spans of attempts without a response, such as those of a cancelled call.
        """
        found = []
        for attempt in self._made.values():
            answer = attempt.answer
            if answer is None:
                if attempt.span is not None:
                    attempt.span.end()
            elif failure_of(answer) is None:
                found.append((attempt.request, attempt.was_replaced))
        return found

    def _start(self, attempt: _Attempt, parent: LazyContext) -> None:
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
        if attempt.answer is not None:
            _finish(attempt)


def failure_of(answer: ResponseHead | Failure) -> str | None:
    """Return `error.type` of an attempt, None for a success."""
    if isinstance(answer, Failure):
        return answer.error.code
    return str(answer.status) if answer.status >= 400 else None


def _url(request: UpstreamRequest) -> str:
    """Return the URL without its query, in which some providers expect a key."""
    endpoint = request.endpoint
    is_default = _DEFAULT_PORTS.get(endpoint.scheme) == endpoint.port
    port = "" if is_default else f":{endpoint.port}"
    path = request.target.partition("?")[0]
    return f"{endpoint.scheme}://{endpoint.provider_host}{port}{path}"


def _finish(attempt: _Attempt) -> None:
    span, answer = attempt.span, attempt.answer
    if span is None:
        return
    if isinstance(answer, ResponseHead):
        span.set_attribute(semconv.HTTP_STATUS, answer.status)
    if answer is not None and (failed := failure_of(answer)) is not None:
        span.set_attribute(semconv.ERROR_TYPE, failed)
        span.set_status(Status(StatusCode.ERROR))
    span.end(attempt.ended_ns)
