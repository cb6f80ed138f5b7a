"""A back end in the test: it takes OTLP over HTTP and keeps what it is sent as plain values."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["LogEvent", "Point", "ReceivedSpan", "Sink"]

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span; ids are hexadecimal, `parent_id` is empty for a root."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    status: int
    attributes: Attributes
    resource: Attributes


@dataclass(frozen=True, slots=True)
class Point:
    """One series of a metric as last exported; of a histogram `value` is the sum."""

    unit: str
    attributes: Attributes
    value: float
    count: int
    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A log record."""

    name: str
    attributes: Attributes
    trace_id: str


class Sink:
    """Listens on a free port of 127.0.0.1 while it is entered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.spans: list[ReceivedSpan] = []
        self.metrics: dict[str, list[Point]] = {}
        self.events: list[LogEvent] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink._take(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test says what it misses."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def clear(self) -> None:
        with self._changed:
            self.spans, self.metrics, self.events = [], {}, []

    def wait(self, is_there: Callable[[Sink], object], timeout: float = 10.0) -> bool:
        """Block until something is there; False if it does not come."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: is_there(self), timeout))

    def _take(self, path: str, body: bytes) -> None:
        with self._changed:
            if path == "/v1/traces":
                self.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            elif path == "/v1/metrics":
                self.metrics.update(_metrics(ExportMetricsServiceRequest.FromString(body)))
            elif path == "/v1/logs":
                self.events.extend(_events(ExportLogsServiceRequest.FromString(body)))
            self._changed.notify_all()


def _spans(request: ExportTraceServiceRequest) -> Iterable[ReceivedSpan]:
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield ReceivedSpan(
                span.name,
                span.kind,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.status.code,
                _attributes(span.attributes),
                resource,
            )


def _metrics(request: ExportMetricsServiceRequest) -> Mapping[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for group in request.resource_metrics:
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            for kind in ("sum", "gauge"):
                for point in getattr(metric, kind).data_points:
                    value = getattr(point, point.WhichOneof("value"))
                    named = _attributes(point.attributes)
                    found.setdefault(metric.name, []).append(
                        Point(metric.unit, named, value, 1, ())
                    )
            for point in metric.histogram.data_points:
                named, bounds = _attributes(point.attributes), tuple(point.explicit_bounds)
                found.setdefault(metric.name, []).append(
                    Point(metric.unit, named, point.sum, point.count, bounds)
                )
    return found


def _events(request: ExportLogsServiceRequest) -> Iterable[LogEvent]:
    for group in request.resource_logs:
        for record in (record for scope in group.scope_logs for record in scope.log_records):
            yield LogEvent(record.event_name, _attributes(record.attributes), record.trace_id.hex())


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind is not None else None
