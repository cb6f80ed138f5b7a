"""Exporters in memory, and a mesh whose telemetry goes there: never through the globals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.config import LLMPolicy, LLMProvider, LLMRoute
from llm_mesh_middleware.testing import FakeUpstream
from tests.canaries import canary

KEY = canary("telemetry")
HOST = "llm"
CHAT = {"model": "m-1", "messages": [{"role": "user", "content": "Good morning"}]}
STREAM = {**CHAT, "stream": True}
_API = "istio.alibabacloud.com/v1"


class Recorder:
    """What the exporters got."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.log_exporter = InMemoryLogRecordExporter()
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.log_exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def of_kind(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is kind]

    @property
    def calls(self) -> list[ReadableSpan]:
        """The spans of calls, without those of attempts."""
        return [span for span in self.spans if "gen_ai.operation.name" in span.attributes]

    @property
    def call(self) -> ReadableSpan:
        (span,) = self.calls
        return span

    @property
    def attempts(self) -> list[ReadableSpan]:
        return [s for s in self.of_kind(SpanKind.CLIENT) if "url.full" in s.attributes]

    @property
    def server(self) -> ReadableSpan:
        (span,) = self.of_kind(SpanKind.SERVER)
        return span

    def metrics(self) -> dict[str, Any]:
        """Every metric by its name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        metric = self.metrics().get(name)
        return [] if metric is None else list(metric.data.data_points)

    def total(self, name: str, **labels: object) -> float:
        """The sum of a metric's values over the points that have `labels` (`_` for `.`)."""
        wanted = {key.replace("__", "."): value for key, value in labels.items()}
        points = [p for p in self.points(name) if wanted.items() <= p.attributes.items()]
        return sum(p.sum if hasattr(p, "sum") else p.value for p in points)

    def events(self, name: str) -> list[Any]:
        records = [data.log_record for data in self.log_exporter.get_finished_logs()]
        return [record for record in records if record.event_name == name]

    async def until(self, is_there: Callable[[], object]) -> None:
        """Wait for what another thread or task records."""
        async with asyncio.timeout(2):
            while not is_there():
                await asyncio.sleep(0.005)


def provider(upstream: FakeUpstream, host: str, config: dict[str, Any], **spec: Any) -> LLMProvider:
    document = {
        "apiVersion": _API,
        "kind": "LLMProvider",
        "metadata": {"name": host.partition(".")[0]},
        "spec": {
            "host": host,
            "endpoint": upstream.url,
            "configs": {"defaultConfig": {"openAIConfig": {"apiKey": KEY, **config}}},
            **spec,
        },
    }
    return LLMProvider.model_validate(document)


def route(*hosts: str, **rule: Any) -> LLMRoute:
    """To the first host, to the next one if that fails."""
    backends = [{"providerHost": host, "priority": n} for n, host in enumerate(hosts)]
    spec = {"host": HOST, "rules": [{"name": "all", "backendRefs": backends, **rule}]}
    document = {"apiVersion": _API, "kind": "LLMRoute", "metadata": {"name": "main"}, "spec": spec}
    return LLMRoute.model_validate(document)


def make_mesh(
    recorder: Recorder | None,
    *upstreams: FakeUpstream,
    hosts: tuple[str, ...] = ("a.example", "b.example"),
    config: dict[str, Any] | None = None,
    rule: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    policies: Sequence[LLMPolicy] = (),
    **options: Any,
) -> Mesh:
    """A mesh with a provider for each upstream."""
    used = hosts[: len(upstreams)]
    documents = [
        *(
            provider(up, host, config or {}, **(spec or {}))
            for up, host in zip(upstreams, used, strict=True)
        ),
        route(*used, **(rule or {})),
        *policies,
    ]
    if recorder is not None:
        options = {
            "tracer_provider": recorder.tracers,
            "meter_provider": recorder.meters,
            "logger_provider": recorder.loggers,
        } | options
    wanted: dict[str, Any] = {"server_spans": True} | (settings or {})
    return Mesh(documents, settings=MeshSettings(**wanted), **options)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """The application behind the mesh, which these tests never reach."""


@asynccontextmanager
async def calling(mesh: Mesh, wrap: Any = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the mesh, inside the process."""
    app = LLMMeshMiddleware(nothing, mesh=mesh)
    transport = httpx.ASGITransport(wrap(app) if wrap is not None else app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        yield client
    await mesh.aclose()


async def chat(client: httpx.AsyncClient, body: Any = None, **more: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=body or CHAT, **more)
