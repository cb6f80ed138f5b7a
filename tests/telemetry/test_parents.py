"""Where the mesh's spans hang: below the application's, the client's, or nothing."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransport
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult, StaticSampler
from opentelemetry.trace import SpanKind

from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.inbound import ClientRequest, Headers
from llm_mesh_middleware.testing import FakeUpstream
from tests.conftest import Serve
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh, nothing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def parent(span: Any) -> str | None:
    return trace.format_span_id(span.parent.span_id) if span.parent is not None else None


def span_id(span: Any) -> str:
    return trace.format_span_id(span.context.span_id)


def links(span: Any) -> list[tuple[str, str]]:
    contexts = [link.context for link in span.links]
    return [
        (trace.format_trace_id(each.trace_id), trace.format_span_id(each.span_id))
        for each in contexts
    ]


async def test_alone_the_mesh_has_a_server_span_and_the_call_below(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await client.post("http://llm:8080/v1/chat/completions", json=STREAM)
    server = recorder.server
    assert server.name == "POST /chat/completions"
    assert parent(server) is None
    assert parent(recorder.call) == span_id(server)
    found = dict(server.attributes)
    assert found.pop("user_agent.original").startswith("python-httpx/")
    assert found == {
        "http.request.method": "POST",
        "http.route": "/chat/completions",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/v1/chat/completions",
        "server.address": "llm",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "llm_mesh.route.name": "main",
    }


async def test_without_the_setting_a_request_has_no_span_of_a_server(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    mesh = make_mesh(recorder, upstream, settings={"server_spans": False})
    async with calling(mesh) as client:
        await chat(client, headers={"traceparent": TRACEPARENT})
    assert [span.kind for span in recorder.spans] == [SpanKind.CLIENT]
    assert parent(recorder.call) == SPAN
    assert not [name for name in recorder.metrics() if name.startswith("http.server.")]


@pytest.mark.parametrize("body", [None, STREAM])
async def test_an_incoming_traceparent_is_the_server_spans_parent(
    recorder: Recorder, upstream: FakeUpstream, serve: Serve, body: object
) -> None:
    port = serve(LLMMeshMiddleware(nothing, mesh=make_mesh(recorder, upstream)))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await chat(client, body, headers={"host": "llm", "traceparent": TRACEPARENT})
    await recorder.until(lambda: recorder.of_kind(SpanKind.SERVER))
    assert parent(recorder.server) == SPAN
    assert parent(recorder.call) == span_id(recorder.server)
    assert links(recorder.call) == []
    assert {trace.format_trace_id(span.context.trace_id) for span in recorder.spans} == {TRACE}


@pytest.mark.parametrize("header", ["", "00-zz-11-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_traceparent_that_is_none_begins_a_new_trace(
    recorder: Recorder, upstream: FakeUpstream, header: str
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client, headers={"traceparent": header})).status_code == 200
    assert parent(recorder.server) is None


async def test_below_an_active_span_of_the_application_there_is_no_server_span(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    tracer = recorder.tracers.get_tracer("app")
    async with calling(make_mesh(recorder, upstream)) as client:
        with tracer.start_as_current_span("app"):
            await chat(client, STREAM, headers={"traceparent": TRACEPARENT})
    (app,) = (span for span in recorder.spans if span.name == "app")
    assert recorder.of_kind(SpanKind.SERVER) == []
    assert parent(recorder.call) == span_id(app)
    assert links(recorder.call) == [(TRACE, SPAN)]
    assert recorder.points("http.server.request.duration") == []


async def test_below_opentelemetrys_asgi_middleware_there_is_one_server_span(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    asgi = pytest.importorskip("opentelemetry.instrumentation.asgi")

    def wrap(app: Any) -> Any:
        return asgi.OpenTelemetryMiddleware(
            app,
            tracer_provider=recorder.tracers,
            meter_provider=recorder.meters,
            exclude_spans=["send", "receive"],
        )

    async with calling(make_mesh(recorder, upstream), wrap) as client:
        await chat(client, STREAM, headers={"traceparent": TRACEPARENT})
    assert parent(recorder.server) == SPAN
    assert recorder.server.instrumentation_scope.name != "llm_mesh_middleware"
    assert parent(recorder.call) == span_id(recorder.server)
    assert links(recorder.call) == []  # the caller's span is in the same trace, further up


async def test_below_an_instrumented_fastapi_application_there_is_one_server_span(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    fastapi = pytest.importorskip("fastapi")
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.fastapi")
    app = fastapi.FastAPI()
    mesh = make_mesh(recorder, upstream)
    app.add_middleware(LLMMeshMiddleware, mesh=mesh)
    instrumentation.FastAPIInstrumentor.instrument_app(
        app, tracer_provider=recorder.tracers, meter_provider=recorder.meters
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://llm") as client:
        assert (await chat(client, STREAM)).status_code == 200
    await mesh.aclose()
    assert parent(recorder.call) == span_id(recorder.server)


async def test_below_starlettes_own_middleware_there_is_one_server_span(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    module = pytest.importorskip("starlette.middleware.opentelemetry")

    def wrap(app: Any) -> Any:
        return module.OpenTelemetryMiddleware(app, tracer_provider=recorder.tracers)

    async with calling(make_mesh(recorder, upstream), wrap) as client:
        await chat(client, STREAM, headers={"traceparent": TRACEPARENT})
    assert recorder.server.instrumentation_scope.name == "starlette"
    assert parent(recorder.server) == SPAN
    assert parent(recorder.call) == span_id(recorder.server)


async def test_where_starlettes_middleware_wants_no_span_the_mesh_makes_none_either(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    module = pytest.importorskip("starlette.middleware.opentelemetry")

    def wrap(app: Any) -> Any:
        return module.OpenTelemetryMiddleware(
            app, excluded_urls=".*", tracer_provider=recorder.tracers
        )

    async with calling(make_mesh(recorder, upstream), wrap) as client:
        await chat(client, headers={"traceparent": TRACEPARENT})
    assert recorder.of_kind(SpanKind.SERVER) == []
    assert parent(recorder.call) == SPAN


async def ask(mesh: Mesh, *headers: tuple[bytes, bytes]) -> None:
    """What an outbound transport does: a request that did not come over the network."""
    host = mesh.find(b"llm")
    assert host is not None
    body = json.dumps(CHAT).encode()
    request = ClientRequest("POST", "/v1/chat/completions", Headers(headers), body)
    delivery = await mesh.asend(host, request)
    delivery.take()
    await delivery.aclose()
    await mesh.aclose()


async def test_a_call_that_the_application_makes_while_it_serves_a_request_is_below_that(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    tracer = recorder.tracers.get_tracer("app")
    with tracer.start_as_current_span("GET /orders", kind=SpanKind.SERVER):
        await ask(make_mesh(recorder, upstream))
    assert recorder.server.name == "GET /orders"
    assert parent(recorder.call) == span_id(recorder.server)
    assert links(recorder.call) == []


@pytest.mark.parametrize("has_span", [True, False])
async def test_a_trace_that_the_application_passes_by_hand_is_linked_or_the_parent(
    recorder: Recorder, upstream: FakeUpstream, has_span: bool
) -> None:
    tracer = recorder.tracers.get_tracer("app")
    header = (b"traceparent", TRACEPARENT.encode())
    with tracer.start_as_current_span("job") if has_span else nullcontext():
        await ask(make_mesh(recorder, upstream), header)
    if has_span:
        (job,) = (span for span in recorder.spans if span.name == "job")
        assert parent(recorder.call) == span_id(job)
        assert links(recorder.call) == [(TRACE, SPAN)]
    else:
        assert parent(recorder.call) == SPAN
        assert links(recorder.call) == []
    assert recorder.points("http.server.request.duration") == []


async def test_an_instrumented_client_of_an_application_in_the_same_process_is_the_parent(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    app = LLMMeshMiddleware(nothing, mesh=make_mesh(recorder, upstream))
    transport = AsyncOpenTelemetryTransport(
        httpx.ASGITransport(app), tracer_provider=recorder.tracers, meter_provider=recorder.meters
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://llm") as client:
        await chat(client)
    await app.mesh.aclose()
    (outer,) = (span for span in recorder.spans if "httpx" in span.instrumentation_scope.name)
    assert parent(recorder.call) == span_id(outer)
    assert links(recorder.call) == []


class KeepingSampler(StaticSampler):
    """Samples all and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__(Decision.RECORD_AND_SAMPLE)
        self.shown: dict[str, set[str]] = {}

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        _, _, name, _, attributes, *_ = args
        self.shown[name] = set(attributes or ())
        return super().should_sample(*args, **kwargs)


async def test_a_sampler_sees_where_the_request_goes(upstream: FakeUpstream) -> None:
    sampler = KeepingSampler()
    recorder = Recorder(sampler)
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
    server, call = sampler.shown["POST /chat/completions"], sampler.shown["chat m-1"]
    assert {"http.route", "http.request.method", "llm_mesh.route.name"} <= server
    assert {"gen_ai.provider.name", "gen_ai.request.model", "server.address"} <= call
    assert recorder.server.start_time < recorder.call.start_time
    assert recorder.server.end_time > recorder.call.end_time
