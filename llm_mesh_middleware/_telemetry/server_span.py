"""The SERVER span and the HTTP metrics of a request that nobody else has them for."""

from __future__ import annotations

import time
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from .._core.messages import ClientRequest
from . import semconv
from .metrics import MeshMetrics
from .request_facts import AttributeValue
from .tallies import Labels

__all__ = ["ServerCall", "ServerSpans"]

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
_MAX_TEXT = 256


class ServerSpans:
    """Makes them, by the stable conventions for HTTP servers."""

    def __init__(self, tracer: Tracer, metrics: MeshMetrics) -> None:
        self.tracer = tracer
        self.duration = metrics.http_duration
        self.active = metrics.http_active

    def begin(self, request: ClientRequest, parent: Context) -> ServerCall:
        """The span of `request`."""
        is_known = request.method in _METHODS
        method = request.method if is_known else "_OTHER"
        attributes: dict[str, AttributeValue] = {
            semconv.HTTP_METHOD: method,
            semconv.URL_SCHEME: request.scheme,
            semconv.URL_PATH: request.path[:_MAX_TEXT],
            semconv.SERVER_ADDRESS: request.host,
            semconv.PROTOCOL_VERSION: request.http_version,
        }
        if (port := _port(*request.headers.get_all(b"host")[:1])) is not None:
            attributes[semconv.SERVER_PORT] = port
        if request.peer is not None:
            attributes[semconv.CLIENT_ADDRESS] = request.peer
        if (agent := request.headers.get("user-agent")) is not None:
            attributes[semconv.USER_AGENT] = agent[:_MAX_TEXT]
        name = method if is_known else "HTTP"
        span = self.tracer.start_span(name, parent, SpanKind.SERVER, attributes=attributes)
        return ServerCall(self, request, span, name, parent)


class ServerCall:
    """One request, from its arrival to the last byte of its answer."""

    def __init__(
        self, owner: ServerSpans, request: ClientRequest, span: Span, name: str, parent: Context
    ) -> None:
        self._owner = owner
        self._request = request
        self._span = span
        self._name = name
        self.context = trace.set_span_in_context(span, parent)
        self._started = time.perf_counter()
        self._labels: Labels = (
            (semconv.HTTP_METHOD, name if name != "HTTP" else "_OTHER"),
            (semconv.URL_SCHEME, request.scheme),
        )
        owner.active.add(1, self._labels)

    def end(self, route: str | None, status: int | None, error_type: str | None) -> None:
        """Say how the request was answered; a client's own fault is no error of the server."""
        self._owner.active.add(-1, self._labels)
        is_error = error_type is not None and (status is None or status >= 500)
        try:
            if self._span.is_recording():
                self._tell(route, status, error_type, is_error=is_error)
        finally:
            self._span.end()
        labels = _duration_labels(
            self._labels,
            self._request.http_version,
            self._route,
            status,
            error_type if is_error else None,
        )
        self._owner.duration.record(time.perf_counter() - self._started, labels)

    @property
    def _route(self) -> str | None:
        operation = self._request.operation
        return operation.suffix if operation is not None else None

    def _tell(
        self, route: str | None, status: int | None, error_type: str | None, *, is_error: bool
    ) -> None:
        found: dict[str, AttributeValue] = {}
        if (template := self._route) is not None:
            found[semconv.HTTP_ROUTE] = template
            self._span.update_name(f"{self._name} {template}")
        if status is not None:
            found[semconv.HTTP_STATUS] = status
        if error_type is not None:
            found[semconv.ERROR_TYPE if is_error else semconv.ERROR_CODE] = error_type
        if route is not None:
            found[semconv.ROUTE_NAME] = route
        self._span.set_attributes(found)
        if is_error and error_type != "client_disconnect":
            self._span.set_status(Status(StatusCode.ERROR))


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


@lru_cache(maxsize=1024)
def _port(host: bytes = b"") -> int | None:
    """The port in a Host field."""
    port = host.strip(b" \t").rpartition(b":")[2]
    return int(port) if port.isdigit() and len(port) <= 5 else None
