"""Trace context on its way to the provider: fresh, and nothing of the client beside it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.telemetry.recording import Recorder, calling, chat, make_mesh, provider, route

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SENT = {"traceparent": TRACEPARENT, "tracestate": "vendor=1", "baggage": "user=jane"}


async def test_the_provider_gets_the_calls_context_once(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, headers=SENT)
    (request,) = upstream.requests
    values = [value for name, value in request.headers if name.lower() == "traceparent"]
    span_id = trace.format_span_id(recorder.call.context.span_id)
    assert len(values) == 1
    assert values[0].split("-")[:3] == ["00", TRACE, span_id]
    assert request.header("tracestate") == "vendor=1"
    assert request.header("baggage") is None


async def test_below_a_span_of_the_application_nothing_of_the_client_is_left(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        with recorder.tracers.get_tracer("app").start_as_current_span("app") as span:
            await chat(client, headers=SENT)
    (request,) = upstream.requests
    own = trace.format_trace_id(span.get_span_context().trace_id)
    assert request.header("traceparent").split("-")[1] == own
    assert request.header("tracestate") is None


@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
async def test_the_applications_baggage_stays_at_home(
    recorder: Recorder, upstream: FakeUpstream, engine: str
) -> None:
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=recorder.tracers)
    token = context.attach(baggage.set_baggage("tenant", "secret"))
    try:
        mesh = make_mesh(recorder, upstream, settings={"upstream_client": engine})
        async with calling(mesh) as client:
            await chat(client, headers=SENT)
    finally:
        context.detach(token)
        instrumentor.uninstrument()
    assert upstream.requests[0].header("baggage") is None


async def test_the_clients_baggage_passes_where_the_owner_lets_it(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    settings = {"forward_headers": "baggage"}
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        await chat(client, headers=SENT)
    assert upstream.requests[0].header("baggage") == "user=jane"


async def test_without_an_sdk_the_clients_context_passes_unchanged(upstream: FakeUpstream) -> None:
    async with calling(make_mesh(None, upstream)) as client:
        assert (await chat(client, headers=SENT)).status_code == 200
        assert (await chat(client)).status_code == 200
    first, then = upstream.requests
    assert first.header("traceparent") == TRACEPARENT
    assert first.header("tracestate") == "vendor=1"
    assert then.header("traceparent") is None


@pytest.mark.slow
def test_importing_the_mesh_imports_no_sdk_and_no_instrumentation() -> None:
    code = (
        "import sys, llm_mesh_middleware.mesh; "
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', "
        "'opentelemetry.instrumentation'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_context_that_the_configuration_sets_is_replaced(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    config = {"headers": {"traceparent": TRACEPARENT}}
    async with calling(make_mesh(recorder, upstream, config=config)) as client:
        for headers in ({}, {}, SENT, {}):
            await chat(client, headers=headers)
    ids = [trace.format_span_id(call.context.span_id) for call in recorder.calls]
    written = [each.headers for each in upstream.requests]
    sent = [[value for name, value in each if name.lower() == "traceparent"] for each in written]
    assert [[value.split("-")[2] for value in values] for values in sent] == [
        [each] for each in ids
    ]


async def test_a_context_that_the_next_provider_sets_is_replaced(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Answer(503))
    documents = [
        provider(upstream, "a.example", {}),
        provider(second, "b.example", {"headers": {"traceparent": TRACEPARENT}}),
        route("a.example", "b.example"),
    ]
    async with calling(Mesh(documents, tracer_provider=recorder.tracers)) as client:
        assert (await chat(client)).status_code == 200
    (request,) = second.requests
    sent = [value for name, value in request.headers if name.lower() == "traceparent"]
    assert len(sent) == 1
    assert sent != [TRACEPARENT]
