"""What telemetry adds to a call: CPU of the thread that serves it, with a real SDK and without any.

The case `floor` makes the calls of the SDK that are needed in any case, and none of the mesh's own.
`alone` is telemetry in a loop of nothing else, as the operations of `telemetry_scale` are measured;
`export` what other threads do later: batches, collection, encoding.

No sockets: the provider is a transport in memory, and the app is called directly, in turns.
`python -m tests.benchmarks.telemetry_cost` prints microseconds, as they are and as they would be
where the budget was written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import chat_completion, chat_stream
from tests.benchmarks.telemetry_alone import Tape
from tests.benchmarks.telemetry_floor import Floor
from tests.benchmarks.telemetry_scale import REFERENCE_US, Scale

__all__ = ["ALONE", "BUDGET_US", "CASES", "TelemetryCost", "measure_telemetry"]

BUDGET_US = 200.0
"""What telemetry may add to a unary call that is sampled, where the budget was written."""

CASES = ("nothing", "floor", "unsampled", "sampled")
ALONE = ("unsampled", "sampled")
CHUNKS = 200

_API = {"apiVersion": "istio.alibabacloud.com/v1"}
_PROVIDER: dict[str, Any] = {
    **_API,
    "kind": "LLMProvider",
    "metadata": {"name": "p"},
    "spec": {
        "host": "p.example",
        "configs": {"defaultConfig": {"openAIConfig": {"model": "m", "apiKey": "k"}}},
    },
}
_ROUTE: dict[str, Any] = {
    **_API,
    "kind": "LLMRoute",
    "metadata": {"name": "r"},
    "spec": {
        "host": "llm",
        "rules": [{"name": "all", "backendRefs": [{"providerHost": "p.example"}]}],
    },
}
_BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5%s}'
_SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "scheme": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "client": ("127.0.0.1", 50000),
    "headers": [
        (b"host", b"llm"),
        (b"user-agent", b"OpenAI/Python 2.0"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
    ],
}


@dataclass(frozen=True, slots=True)
class TelemetryCost:
    """Microseconds of CPU: the median of rounds that were taken in turns.

    By case, `unary` is a whole call, `added` what it takes beyond the case `nothing`, `chunk` one
    more chunk of a stream. `factor` is how slow the machine was beside the one of the budget, by
    the operations in `scale`.
    """

    unary: dict[str, float]
    added: dict[str, float]
    chunk: dict[str, float]
    alone: dict[str, float]
    export: float
    scale: dict[str, float]
    factor: float


class _Spans(SpanExporter):
    """Encodes as OTLP; sending is not measured."""

    def export(self, spans: Any) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class _Metrics(MetricExporter):
    def export(self, metrics_data: Any, timeout_millis: float = 0, **kwargs: Any) -> Any:
        encode_metrics(metrics_data).SerializeToString()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **kwargs: Any) -> None:
        """Nothing is held."""


class _Events(httpx.AsyncByteStream):
    """A stream of as many pieces as the question asks for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class _Provider(httpx.AsyncBaseTransport):
    """Answers from memory: one object, or a short or a long stream."""

    def __init__(self) -> None:
        self._whole = httpx.Response(200, json=chat_completion("Good morning")).content
        usage = {"include_usage": True}
        self._streams = [chat_stream(["word "] * count, **usage) for count in (1, CHUNKS + 1)]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if b'"stream":true' not in request.content:
            headers = {"content-type": "application/json"}
            return httpx.Response(200, headers=headers, stream=_Events([self._whole]))
        pieces = self._streams[b'"user":"long"' in request.content]
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=_Events(pieces))


def _providers(sampler: Sampler) -> tuple[TracerProvider, MeterProvider]:
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(_Spans()))
    reader = PeriodicExportingMetricReader(_Metrics(), export_interval_millis=1000)
    return tracers, MeterProvider([reader], shutdown_on_exit=False)


def _mesh(case: str) -> Mesh:
    if case == "nothing":
        return _with_options()
    tracers, meters = _providers(ALWAYS_OFF if case == "unsampled" else ALWAYS_ON)
    if case == "floor":
        return _with_options(observer=Floor(tracers, meters))
    return _with_options(tracer_provider=tracers, meter_provider=meters)


def _with_options(**options: Any) -> Mesh:
    documents = [LLMProvider.model_validate(_PROVIDER), LLMRoute.model_validate(_ROUTE)]
    settings = MeshSettings(access="open")
    return Mesh(documents, settings=settings, transport=_Provider(), **options)


def measure_telemetry(*, rounds: int, calls: int) -> TelemetryCost:
    """Measure every case in every round, a few calls at a time."""
    scale = Scale(*_providers(ALWAYS_ON))
    with asyncio.Runner() as runner:
        apps = {case: _App(_mesh(case), runner) for case in CASES}
        tape = Tape()
        taped = _App(_with_options(observer=tape), runner)
        taped.unary(1)
        players = {case: tape.player(apps[case].mesh) for case in ALONE}
        unary: dict[str, list[float]] = {case: [] for case in CASES}
        chunk: dict[str, list[float]] = {case: [] for case in CASES}
        alone: dict[str, list[float]] = {case: [] for case in ALONE}
        for _ in range(rounds):
            scale.measure()
            for case, app in apps.items():
                unary[case].append(app.unary(calls))
                chunk[case].append(app.chunk())
            for case, player in players.items():
                alone[case].append(_us_of(player, calls))
        for app in (*apps.values(), taped):
            app.close()
        export = _export_us(runner, calls=rounds)
    added = {
        case: median(a - b for a, b in zip(found, unary["nothing"], strict=True))
        for case, found in unary.items()
    }
    return TelemetryCost(
        unary={case: median(found) for case, found in unary.items()},
        added=added,
        chunk={case: median(found) for case, found in chunk.items()},
        alone={case: median(found) for case, found in alone.items()},
        export=export,
        scale=scale.figures,
        factor=scale.factor,
    )


def _us_of(work: Callable[[], object], times: int) -> float:
    begun_at = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun_at) * 1e6 / times


def _export_us(runner: asyncio.Runner, *, calls: int) -> float:
    """What other threads, and a last flush in this one, do for each sampled call."""
    tracers, meters = _providers(ALWAYS_ON)
    app = _App(_with_options(tracer_provider=tracers, meter_provider=meters), runner)
    process, thread = time.process_time(), time.thread_time()
    app.unary(calls)
    in_call = time.thread_time() - thread
    tracers.force_flush()
    meters.force_flush()
    elapsed = time.process_time() - process
    app.close()
    return (elapsed - in_call) * 1e6 / calls


class _App:
    """One case: the middleware and what calls it."""

    def __init__(self, mesh: Mesh, runner: asyncio.Runner) -> None:
        self.mesh = mesh
        self._runner = runner
        self._app = LLMMeshMiddleware(_nothing, mesh=mesh)
        self.unary(3)  # imports, and whatever else is made once
        self.chunk()

    def unary(self, calls: int) -> float:
        """Microseconds of a unary call."""
        return self._runner.run(_time_of(self._app, b"", calls))

    def chunk(self) -> float:
        """Microseconds of one more chunk in a stream."""
        short = self._runner.run(_time_of(self._app, b',"stream":true', 1))
        long = self._runner.run(_time_of(self._app, b',"stream":true,"user":"long"', 1))
        return (long - short) / CHUNKS

    def close(self) -> None:
        """Close the mesh."""
        self._runner.run(self.mesh.aclose())


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the mesh has not taken the request")


async def _time_of(app: LLMMeshMiddleware, members: bytes, calls: int) -> float:
    body = _BODY % members
    statuses: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    async def one() -> None:
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.get_running_loop().create_future()  # the client stays
            raise AssertionError

        await app(_SCOPE, receive, send)

    begun_at = time.thread_time()
    for _ in range(calls):
        await one()
    elapsed_us = (time.thread_time() - begun_at) * 1e6
    assert statuses == [200] * calls
    return elapsed_us / calls


def _report(cost: TelemetryCost) -> str:
    operations = ", ".join(
        f"{name} {us:.1f} ({REFERENCE_US[name]:g} there)" for name, us in cost.scale.items()
    )
    rows = [
        f"The operations of a call take {cost.factor:.2f} times as long here as where the budget of"
        f" {BUDGET_US:g} us was written: {operations}.",
        f"{'':16} {'unary':>8} {'added':>8} {'there':>8} {'chunk':>8} {'added':>8}",
    ]
    for case in CASES:
        figures = (
            cost.unary[case],
            cost.added[case],
            cost.added[case] / cost.factor,
            cost.chunk[case],
            cost.chunk[case] - cost.chunk["nothing"],
        )
        rows.append(f"{case:16} " + " ".join(f"{figure:8.1f}" for figure in figures))
    for case, us in cost.alone.items():
        rows.append(f"{case + ', alone':16} {'':8} {us:8.1f} {us / cost.factor:8.1f}")
    rows.append(f"{'export':16} {'':8} {cost.export:8.1f} {cost.export / cost.factor:8.1f}")
    return "\n".join(rows)


if __name__ == "__main__":
    print(_report(measure_telemetry(rounds=300, calls=5)))
