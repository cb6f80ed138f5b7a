"""Sends bodies that were encoded here by OpenTelemetry's exporter over HTTP.

The exporter is called with nothing to export, and its session, which is an argument of it, replaces
the empty body. Endpoint, header fields, certificates, timeouts, compression and retries are thus
those of `OTEL_EXPORTER_OTLP_*`, in every release of the exporter.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ..handover import DeferredSpanExporter
from .points import encode_metrics, is_encodable
from .spans import encode_spans

__all__ = ["BodySession", "OTLPDeferredExporter", "OTLPPointExporter", "is_plain"]

_COMPRESSED: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


class BodySession(requests.Session):
    """A session whose requests carry `body` while there is one."""

    body: bytes | None = None

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send a request of the exporter."""
        body = self.body
        if body is not None:
            kwargs["data"] = self._encoded(body, kwargs.get("headers") or {})
        return super().request(method, url, **kwargs)

    def _encoded(self, body: bytes, headers: Mapping[str, Any]) -> bytes:
        fields = {name.lower(): value for name, value in (*self.headers.items(), *headers.items())}
        compress = _COMPRESSED.get(str(fields.get("content-encoding", "")).lower())
        return body if compress is None else compress(body)


def is_plain(exporter: object) -> bool:
    """Return whether an exporter is one of those over HTTP, and not derived from them."""
    return type(exporter) in (OTLPSpanExporter, OTLPMetricExporter)


class OTLPDeferredExporter(DeferredSpanExporter):
    """Encodes spans, and sends them by the exporter."""

    def __init__(self, exporter: SpanExporter, session: BodySession) -> None:
        """`session` is the one that the exporter uses, and nobody else does."""
        super().__init__(exporter)
        self._session = session

    @classmethod
    def like(cls, exporter: SpanExporter) -> Self:
        """Return one in place of an exporter that was set up from the environment, and end that."""
        session = BodySession()
        made = cls(OTLPSpanExporter(session=session), session)
        exporter.shutdown()
        return made

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Export a batch; one at a time, as the SDK's processors do."""
        self._session.body = encode_spans(spans)
        try:
            return self.exporter.export(())
        finally:
            self._session.body = None


class OTLPPointExporter(MetricExporter):
    """Encodes what a reader has collected, and sends it by the exporter."""

    def __init__(self, exporter: OTLPMetricExporter, session: BodySession) -> None:
        """`session` is the one that the exporter uses, and nobody else does."""
        super().__init__()
        self.exporter = exporter
        self._session = session

    @classmethod
    def like(cls, exporter: MetricExporter) -> Self:
        """Return one in place of an exporter that was set up from the environment, and end that."""
        session = BodySession()
        made = cls(OTLPMetricExporter(session=session), session)
        exporter.shutdown()
        return made

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export a collection; one at a time, as the SDK's readers do."""
        if not is_encodable(metrics_data):
            return self.exporter.export(metrics_data, timeout_millis, **kwargs)
        self._session.body = encode_metrics(metrics_data)
        try:
            return self.exporter.export(MetricsData([]), timeout_millis, **kwargs)
        finally:
            self._session.body = None

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return self.exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self.exporter.shutdown(timeout_millis, **kwargs)
