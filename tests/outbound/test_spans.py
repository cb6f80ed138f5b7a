"""The spans of calls that an application makes itself: below its own, wherever they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation import httpx as instrumentation
from opentelemetry.trace import SpanKind

import llm_mesh_httpx
import llm_mesh_httpx.httpx2
from llm_mesh_middleware import Mesh
from llm_mesh_middleware.testing import FakeUpstream
from tests.telemetry.recording import CHAT, STREAM, Recorder, make_mesh

URL = "http://llm/v1/chat/completions"
OF_HTTPX2 = getattr(instrumentation, "HTTPX2ClientInstrumentor", None)
LIBRARIES = [
    pytest.param(httpx, llm_mesh_httpx, instrumentation.HTTPXClientInstrumentor, id="httpx"),
    pytest.param(
        *(httpx2, llm_mesh_httpx.httpx2, OF_HTTPX2),
        id="httpx2",
        marks=pytest.mark.skipif(OF_HTTPX2 is None, reason="it came with 0.65b0"),
    ),
]
flavours = pytest.mark.parametrize(("library", "ours", "instrumentor"), LIBRARIES)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def mesh(recorder: Recorder) -> Iterator[Mesh]:
    with FakeUpstream(tls=False) as upstream:
        mesh = make_mesh(recorder, upstream)
        yield mesh
        mesh.close()


def parent(span: Any) -> int | None:
    return span.parent.span_id if span.parent is not None else None


@flavours
@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_the_applications_span_is_the_parent(
    recorder: Recorder, mesh: Mesh, library: Any, ours: Any, instrumentor: Any, body: Any
) -> None:
    tracer = recorder.tracers.get_tracer("app")
    with library.Client(transport=ours.MeshTransport(mesh)) as client:

        def pieces() -> Iterator[bytes]:
            with client.stream("POST", URL, json=body) as answer:
                yield from answer.iter_raw()
                assert trace.get_current_span() is own

        with tracer.start_as_current_span("app") as own:
            assert b"".join(pieces())
    assert parent(recorder.call) == own.get_span_context().span_id
    assert recorder.call.attributes["gen_ai.usage.output_tokens"] > 0
    assert recorder.of_kind(SpanKind.SERVER) == []


@flavours
@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_the_tasks_span_is_the_parent(
    recorder: Recorder, mesh: Mesh, library: Any, ours: Any, instrumentor: Any, body: Any
) -> None:
    tracer = recorder.tracers.get_tracer("app")
    async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as client:
        with tracer.start_as_current_span("app") as own:
            async with client.stream("POST", URL, json=body) as answer:
                assert [piece async for piece in answer.aiter_raw()]
                assert trace.get_current_span() is own
    assert parent(recorder.call) == own.get_span_context().span_id
    await mesh.aclose()


@flavours
@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_an_instrumented_client_goes_between(
    recorder: Recorder, mesh: Mesh, library: Any, ours: Any, instrumentor: Any, body: Any
) -> None:
    with library.Client(transport=ours.MeshTransport(mesh)) as client:
        instrumentor.instrument_client(client, tracer_provider=recorder.tracers)
        assert client.post(URL, json=body).status_code == 200
    async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as async_client:
        instrumentor.instrument_client(async_client, tracer_provider=recorder.tracers)
        assert (await async_client.post(URL, json=body)).status_code == 200
    outer = {span.context.span_id for span in recorder.spans if "http" in str(span.attributes)}
    assert len(recorder.calls) == 2
    assert {parent(call) for call in recorder.calls} <= outer
    await mesh.aclose()


@flavours
def test_a_process_that_is_instrumented_as_a_whole_is_served(
    recorder: Recorder, mesh: Mesh, library: Any, ours: Any, instrumentor: Any
) -> None:
    instrumentor().instrument(tracer_provider=recorder.tracers)
    try:
        with library.Client(transport=ours.MeshTransport(mesh)) as client:
            assert client.post(URL, json=STREAM).status_code == 200
    finally:
        instrumentor().uninstrument()
    assert recorder.call.attributes["gen_ai.usage.output_tokens"] > 0


@flavours
def test_a_call_outside_any_span_begins_a_trace(
    recorder: Recorder, mesh: Mesh, library: Any, ours: Any, instrumentor: Any
) -> None:
    with library.Client(transport=ours.MeshTransport(mesh)) as client:
        client.post(URL, json=CHAT)
    assert parent(recorder.call) is None
    assert recorder.of_kind(SpanKind.SERVER) == []
