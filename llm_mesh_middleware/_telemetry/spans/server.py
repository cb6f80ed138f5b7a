"""The SERVER span and the HTTP metrics of a request, where no instrumentation makes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from ..._core.values.messages import ClientRequest
from .. import semconv
from ..metrics.instruments import UNTRACED, MeshMetrics
from ..metrics.tallies import Labels
from .request_attributes import AttributeValue

__all__ = ["ServerCall", "ServerSpans"]

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
_VERSIONS = frozenset(("0.9", "1.0", "1.1", "2", "2.0", "3", "3.0"))
_MAX_TEXT = 256
_MAX_PORT_TEXT = 16  # a port and the blanks around it


class ServerSpans:
    """Makes them by the stable conventions for HTTP servers."""

    def __init__(self, tracer: Tracer, metrics: MeshMetrics) -> None:
        self.tracer = tracer
        self.duration = metrics.http_duration
        self.active = metrics.http_active

    def begin(self, request: ClientRequest, parent: Context) -> ServerCall:
        """Begin with a request that has arrived."""
        return ServerCall(self, request, parent)


class ServerCall:
    """One request, from its arrival to the last byte of its reply.

    Its span is made once the request has been routed, with the time of its arrival as its start: a
    sampler then gets the final name and route.
    """

    _span: Span | None = None

    def __init__(self, owner: ServerSpans, request: ClientRequest, parent: Context) -> None:
        self._owner = owner
        self._request = request
        self.context = parent
        self._started_ns = time.time_ns()
        self._started = time.perf_counter()
        is_known = request.method in _METHODS
        self._method = request.method if is_known else "_OTHER"
        self._name = request.method if is_known else "HTTP"
        # Some servers pass on any version that a client sends: `HTTP/1.12345`.
        self._version = request.http_version if request.http_version in _VERSIONS else "_OTHER"
        self._labels: Labels = (
            (semconv.HTTP_METHOD, self._method),
            (semconv.URL_SCHEME, request.scheme),
        )
        owner.active.add(1, self._labels)

    def understood(self, request: ClientRequest) -> None:
        """Replace the request by the one with its operation."""
        self._request = request

    def begin_span(self, route: str | None) -> Context:
        """Start the span, and return the context below it; `route` is the document of the rule."""
        template, name = self._route, self._name
        attributes = self._attributes()
        if template is not None:
            attributes[semconv.HTTP_ROUTE] = template
            name = f"{name} {template}"
        if route is not None:
            attributes[semconv.ROUTE_NAME] = route
        self._span = self._owner.tracer.start_span(
            name,
            self.context,
            SpanKind.SERVER,
            attributes=attributes,
            start_time=self._started_ns,
        )
        self.context = trace.set_span_in_context(self._span, self.context)
        return self.context

    def end(
        self,
        route: str | None,
        status: int | None,
        error_type: str | None,
        decisions: Sequence[str] = (),
    ) -> None:
        """Record the end of the request; an error of the client is not one of the server.

        `decisions` are those of policies, if no other span has them.
        """
        self._owner.active.add(-1, self._labels)
        is_error = error_type is not None and (status is None or status >= 500)
        try:
            self._record(status, error_type if is_error else None)
        finally:
            if self._span is None:  # refused, and so never routed
                self.begin_span(route)
            if self._span is not None:
                if decisions:
                    self._span.set_attribute(semconv.POLICY_DECISIONS, tuple(decisions))
                _end(self._span, status, error_type, is_error=is_error)

    def _record(self, status: int | None, error_type: str | None) -> None:
        labels = _duration_labels(
            self._labels,
            self._version,
            self._route,
            status,
            error_type,
        )
        self._owner.duration.record(time.perf_counter() - self._started, labels, UNTRACED)

    @property
    def _route(self) -> str | None:
        operation = self._request.operation
        return operation.suffix if operation is not None else None

    def _attributes(self) -> dict[str, AttributeValue]:
        request = self._request
        found: dict[str, AttributeValue] = {
            semconv.HTTP_METHOD: self._method,
            semconv.URL_SCHEME: request.scheme,
            semconv.URL_PATH: request.path[:_MAX_TEXT],
            semconv.SERVER_ADDRESS: request.host,
            semconv.PROTOCOL_VERSION: self._version,
        }
        hosts = request.headers.get_all(b"host")
        if hosts and (port := _port(hosts[0])) is not None:
            found[semconv.SERVER_PORT] = port
        if request.peer is not None:
            found[semconv.CLIENT_ADDRESS] = request.peer
        if (agent := request.headers.get("user-agent")) is not None:
            found[semconv.USER_AGENT] = agent[:_MAX_TEXT]
        return found


def _end(span: Span, status: int | None, error_type: str | None, *, is_error: bool) -> None:
    try:
        if not span.is_recording():
            return
        if status is not None:
            span.set_attribute(semconv.HTTP_STATUS, status)
        if error_type is not None:
            span.set_attribute(semconv.ERROR_TYPE if is_error else semconv.ERROR_CODE, error_type)
            if is_error and error_type != "client_disconnect":
                span.set_status(Status(StatusCode.ERROR))
    finally:
        span.end()


@lru_cache(maxsize=1024)
def _duration_labels(
    labels: Labels, version: str, route: str | None, status: int | None, error_type: str | None
) -> dict[str, str | int]:
    known: dict[str, str | int | None] = {
        **dict(labels),
        semconv.PROTOCOL_VERSION: version,
        semconv.HTTP_ROUTE: route,
        semconv.HTTP_STATUS: status,
        semconv.ERROR_TYPE: error_type,
    }
    return {name: value for name, value in sorted(known.items()) if value is not None}


def _port(host: bytes) -> int | None:
    """Return the port in a Host field."""
    port = host[-_MAX_PORT_TEXT:].rpartition(b":")[2].strip(b" \t")
    return int(port) if port.isdigit() and len(port) <= 5 else None
