"""A FastAPI application that answers with the help of the mesh it carries, and its trace.

`python -m tests.telemetry.e2e.traced_app > docs/trace.json` records it anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.testing import Answer, Stream, chat_stream, error_body, token_usage
from tests.conftest import running
from tests.telemetry.e2e.calls import HOST, TOOLS, Providers, providers

__all__ = ["record_trace"]

_CHUNKS = ("Take", " an", " umbrella", ".")


def record_trace(folder: Path) -> list[dict[str, Any]]:
    """Ask the application once; the spans of the answer, parents first, times from its begin."""
    memory, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(memory))
    with providers(folder) as upstreams:
        _script(upstreams)
        with running(_make_app(upstreams, tracing), "uvicorn-h11") as port:
            url = f"http://127.0.0.1:{port}/weather"
            httpx.get(url, trust_env=False, timeout=10)  # the first call imports and connects
            _wait_for_root(memory)  # it ends after its answer
            memory.clear()
            _script(upstreams)
            answer = httpx.get(url, trust_env=False, timeout=10)
            assert answer.text == "Take an umbrella."
    tracing.shutdown()
    return _described(memory.get_finished_spans())


def _wait_for_root(memory: InMemorySpanExporter) -> None:
    deadline = time.monotonic() + 5
    while all(span.parent for span in memory.get_finished_spans()):
        assert time.monotonic() < deadline, "the first request's span never ended"
        time.sleep(0.005)


def _script(upstreams: Providers) -> None:
    """The first provider is overloaded, the other streams its answer."""
    upstreams.primary.script(Answer(503, body=error_body("Overloaded"), delay=0.02))
    events = chat_stream(
        _CHUNKS, model="small-1", usage=token_usage(58, 7), include_usage=True, id="chat-9"
    )
    upstreams.backup.script(Stream(events, pause=0.015, delay=0.03))


def _make_app(upstreams: Providers, tracing: TracerProvider) -> FastAPI:
    app = FastAPI()

    @app.get("/weather")
    async def weather() -> PlainTextResponse:
        # The application's own calls go through the mesh in front of it, like everybody's.
        port = app.state.port
        body = {
            "messages": [{"role": "user", "content": "Will it rain in Kyoto?"}],
            "tools": TOOLS,
            "stream": True,
        }
        async with httpx.AsyncClient(trust_env=False, headers={"host": HOST}) as client:
            HTTPXClientInstrumentor.instrument_client(client, tracer_provider=tracing)
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            async with client.stream("POST", url, json=body) as answer:
                lines = [line async for line in answer.aiter_lines()]
        return PlainTextResponse("".join(map(_content, lines)))

    @app.middleware("http")
    async def know_port(request: Any, call_next: Any) -> Any:
        app.state.port = request.scope["server"][1]
        return await call_next(request)

    app.add_middleware(LLMMeshMiddleware, mesh=Mesh(upstreams.config, tracer_provider=tracing))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=tracing, exclude_spans=["receive", "send"]
    )
    return app


def _content(line: str) -> str:
    data = line.removeprefix("data: ")
    if not line.startswith("data: ") or data == "[DONE]":
        return ""
    return "".join(choice["delta"].get("content") or "" for choice in json.loads(data)["choices"])


def _described(spans: Sequence[ReadableSpan]) -> list[dict[str, Any]]:
    begun = min(span.start_time or 0 for span in spans)
    return [
        {
            "trace_id": f"{span.context.trace_id:032x}",
            "span_id": f"{span.context.span_id:016x}",
            "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
            "name": span.name,
            "kind": span.kind.name,
            "scope": span.instrumentation_scope.name if span.instrumentation_scope else "",
            "start_ms": round(((span.start_time or 0) - begun) / 1e6, 3),
            "end_ms": round(((span.end_time or 0) - begun) / 1e6, 3),
            "is_error": not span.status.is_ok and span.status.status_code.name == "ERROR",
            "attributes": dict(span.attributes or {}),
        }
        for span in sorted(spans, key=lambda span: span.start_time or 0)
        if span.context is not None
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        json.dump(record_trace(Path(scratch)), sys.stdout, indent=2)
    sys.stdout.write("\n")
