"""The exporter of OpenTelemetry sends our bodies, by its own settings, to a server on a socket."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from llm_mesh_middleware._telemetry.owned.adoption import adopt
from llm_mesh_middleware._telemetry.owned.deferred_spans import DeferredSpan
from llm_mesh_middleware._telemetry.owned.otlp.session import OTLPDeferredExporter
from llm_mesh_middleware._telemetry.owned.registry import adopted_bank, adopted_tracer

UNPACK: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Collector:
    """Keeps what it is sent, and replies with the statuses that it is told, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fields = {name.lower(): value for name, value in self.headers.items()}
                collector.received.append((self.path, fields, body))
                self.send_response(collector.statuses.pop(0) if collector.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def spans(self) -> list[Any]:
        found = []
        for _, fields, body in self.received:
            unpacked = UNPACK[fields.get("content-encoding")](body)
            request = ExportTraceServiceRequest.FromString(unpacked)
            found += [
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        return found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    yield made
    made.server.shutdown()
    thread.join(5)
    made.server.server_close()


def exported(count: int = 3) -> TracerProvider:
    """Export so many spans by a provider that was set up from the environment."""
    resource = Resource({"service.name": "conformance"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(processor)
    adopt(metrics.NoOpMeterProvider(), provider, {}, is_from_environ=True)
    tracer = adopted_tracer(provider, provider.get_tracer("scope", "1"))
    for number in range(count):
        span = tracer.start_span(f"chat {number}", attributes={"given": "at the start"})
        span.set_attributes({"number": number})
        span.end()
        assert isinstance(span, DeferredSpan)
    assert isinstance(processor.span_exporter, OTLPDeferredExporter)
    assert provider.force_flush()
    return provider


def test_notes_arrive_as_the_spans_of_the_provider(collector: Collector) -> None:
    exported().shutdown()

    assert [span.name for span in collector.spans()] == ["chat 0", "chat 1", "chat 2"]
    ((path, fields, body),) = collector.received
    assert (path, fields["content-type"]) == ("/v1/traces", "application/x-protobuf")
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert resource.resource.attributes[0].value.string_value == "conformance"
    assert [scope.scope.name for scope in resource.scope_spans] == ["scope"]
    told = {pair.key: pair.value for pair in resource.scope_spans[0].spans[2].attributes}
    assert told["given"].string_value == "at the start"
    assert told["number"].int_value == 2


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_bodies_are_compressed_as_the_environment_says(
    compression: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", compression)
    exported().shutdown()

    ((_, fields, _),) = collector.received
    assert fields.get("content-encoding", "none") == compression
    assert len(collector.spans()) == 3


def test_header_fields_and_the_path_are_those_of_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=mesh")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/elsewhere")
    exported().shutdown()

    ((path, fields, _),) = collector.received
    assert (path, fields["x-team"]) == ("/elsewhere", "mesh")


@pytest.mark.slow
def test_a_batch_that_is_sent_again_is_the_same(collector: Collector) -> None:
    collector.statuses = [503]
    exported().shutdown()

    first, second = (body for _, _, body in collector.received)
    assert first == second
    assert first


def test_a_batch_that_is_refused_is_dropped(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.statuses = [400]
    provider = exported()
    assert "400" in caplog.text
    exported(1).shutdown()
    provider.shutdown()

    assert [span.name for span in collector.spans()] == ["chat 0", "chat 1", "chat 2", "chat 0"]


def test_points_arrive_as_they_were_collected(collector: Collector) -> None:
    resource = Resource({"service.name": "conformance"})
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    adopt(meters, TracerProvider(shutdown_on_exit=False), {}, is_from_environ=True)
    bank, meter = adopted_bank(meters), meters.get_meter("scope", "1")
    assert bank is not None
    bank.histogram(meter, "h", "s", (1.0, 2.0)).record(1.5, {"a": "b"})
    meter.create_counter("c").add(3)
    assert meters.force_flush()
    meters.shutdown()

    path, fields, body = collector.received[0]
    assert (path, fields["content-type"]) == ("/v1/metrics", "application/x-protobuf")
    (told,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    assert told.resource.attributes[0].value.string_value == "conformance"
    found = {metric.name: metric for metric in told.scope_metrics[0].metrics}
    assert list(found["h"].histogram.data_points[0].bucket_counts) == [0, 1, 0]
    assert found["c"].sum.data_points[0].as_int == 3


def test_an_exporter_with_settings_of_its_own_keeps_them(collector: Collector) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.url}/given"))
    provider.add_span_processor(processor)
    adopt(metrics.NoOpMeterProvider(), provider, {})
    adopted_tracer(provider, provider.get_tracer("scope")).start_span("as ever").end()
    provider.shutdown()

    assert [path for path, _, _ in collector.received] == ["/given"]
    assert [span.name for span in collector.spans()] == ["as ever"]
