"""What telemetry adds to a call: CPU of the whole process, with a real SDK and without any.

The case `floor` makes the calls of the SDK that are needed in any case, and none of the mesh's own.

No sockets: the provider is a transport in memory, and the app is called directly, in turns.
`python -m tests.benchmarks.telemetry_cost` prints microseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import httpx
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, set_span_in_context

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import chat_completion, chat_stream
from tests.benchmarks.telemetry_floor import Floor

__all__ = ["CASES", "YARDSTICK_US", "measure_telemetry"]

YARDSTICK_US = 116.0
"""A span of 24 attributes and three histogram records, in the SDK itself on an idle machine."""

CASES = ("nothing", "floor", "unsampled", "sampled")
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


class _Spans(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Metrics(MetricExporter):
    def export(self, metrics_data: Any, timeout_millis: float = 0, **kwargs: Any) -> Any:
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


def _yardstick() -> Callable[[int], float]:
    """What times the SDK at work, as slow as this machine is at the moment."""
    tracers, meters = _providers(ALWAYS_ON)
    tracer, histogram = tracers.get_tracer("y"), meters.get_meter("y").create_histogram("h")
    attributes = {f"attribute.{n}": "value" for n in range(12)}
    labels = {f"label.{n}": "value" for n in range(7)}

    def measure(calls: int) -> float:
        begun_at = time.process_time()
        for _ in range(calls):
            span = tracer.start_span("y", kind=SpanKind.CLIENT, attributes=attributes)
            span.set_attributes(attributes)
            context = set_span_in_context(span)
            for _ in range(3):
                histogram.record(1.0, labels, context)
            span.end()
        return (time.process_time() - begun_at) * 1e6 / calls

    return measure


def _mesh(case: str) -> Mesh:
    documents = [LLMProvider.model_validate(_PROVIDER), LLMRoute.model_validate(_ROUTE)]
    settings, transport = MeshSettings(access="open"), _Provider()
    if case == "nothing":
        return Mesh(documents, settings=settings, transport=transport)
    sampler: Sampler = ALWAYS_OFF if case == "unsampled" else ALWAYS_ON
    tracers, meters = _providers(sampler)
    if case == "floor":
        observer = Floor(tracers, meters)
        return Mesh(documents, settings=settings, transport=transport, observer=observer)
    return Mesh(
        documents,
        settings=settings,
        transport=transport,
        tracer_provider=tracers,
        meter_provider=meters,
    )


def measure_telemetry(*, rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """CPU microseconds by case: of a `unary` call, and of one `chunk` more in a stream.

    The case `yardstick` is the SDK's own work, to tell how slow the machine is at the moment.

    The least of many short rounds, taken in turns: what else the machine does adds to the others.
    """
    apps = {case: LLMMeshMiddleware(_nothing, mesh=_mesh(case)) for case in CASES}
    found: dict[str, dict[str, list[float]]] = {
        case: {"unary": [], "short": [], "long": []} for case in CASES
    }
    yardstick, units = _yardstick(), []
    with asyncio.Runner() as runner:
        for number in range(rounds + 1):
            units.append(yardstick(calls))
            for case, app in apps.items():
                unary = runner.run(_time_of(app, b"", calls))
                short = runner.run(_time_of(app, b',"stream":true', max(calls // 10, 1)))
                long = runner.run(
                    _time_of(app, b',"stream":true,"user":"long"', max(calls // 10, 1))
                )
                if number:  # the first round warms up
                    found[case]["unary"].append(unary)
                    found[case]["long"].append(long)
                    found[case]["short"].append(short)
        for app in apps.values():
            runner.run(app.mesh.aclose())
    least = {case: {k: min(v) for k, v in figures.items()} for case, figures in found.items()}
    return {"yardstick": {"unary": min(units), "chunk": 0.0}} | {
        case: {"unary": of["unary"], "chunk": (of["long"] - of["short"]) / CHUNKS}
        for case, of in least.items()
    }


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

    begun_at = time.process_time()
    for _ in range(calls):
        await one()
    elapsed_us = (time.process_time() - begun_at) * 1e6
    assert statuses == [200] * calls
    return elapsed_us / calls


if __name__ == "__main__":
    measured = measure_telemetry(rounds=300, calls=5)
    base = measured["nothing"]
    unit = measured.pop("yardstick")["unary"]
    print(f"the machine takes {unit / YARDSTICK_US:.2f} times as long as an idle one")  # noqa: T201
    print(f"{'':10} {'unary':>8} {'added':>8} {'chunk':>8} {'added':>8}")  # noqa: T201
    for case, figures in measured.items():
        row = [
            v for name in ("unary", "chunk") for v in (figures[name], figures[name] - base[name])
        ]
        print(f"{case:10} " + " ".join(f"{value:8.1f}" for value in row))  # noqa: T201
