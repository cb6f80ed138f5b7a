"""The spans and counts of attempts, on both HTTP clients and beside their own instrumentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransport, HTTPXClientInstrumentor
from opentelemetry.trace import SpanKind, StatusCode

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.telemetry.recording import CHAT, STREAM, Recorder, calling, chat, make_mesh

DOWN = Answer(503, [], error_body("down"))


def sent_parent(upstream: FakeUpstream, index: int = 0) -> str:
    """The span id that a provider was told."""
    return str(upstream.requests[index].header("traceparent")).split("-")[2]


def span_id(span: Any) -> str:
    return trace.format_span_id(span.context.span_id)


@pytest.fixture
def instrumented(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=recorder.tracers, meter_provider=recorder.meters)
    yield
    instrumentor.uninstrument()


@pytest.mark.parametrize(
    ("mode", "once", "twice"), [("on_retry", 0, 2), ("always", 1, 2), ("never", 0, 0)]
)
@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
async def test_attempts_have_spans_as_the_setting_says(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    engine: str,
    mode: str,
    once: int,
    twice: int,
) -> None:
    settings = {"attempt_spans": mode, "upstream_client": engine}
    async with calling(make_mesh(recorder, upstream, second, settings=settings)) as client:
        await chat(client)
        assert len(recorder.attempts) == once
        recorder.exporter.clear()
        upstream.always(DOWN)
        assert (await chat(client, STREAM)).status_code == 200
    assert len(recorder.attempts) == twice
    assert all(s.parent.span_id == recorder.call.context.span_id for s in recorder.attempts)
    assert recorder.call.attributes["llm_mesh.attempt.count"] == 2


async def test_a_failed_attempt_and_the_one_that_followed(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    async with calling(make_mesh(recorder, upstream, second)) as client:
        await chat(client)
    first, then = recorder.attempts
    assert dict(first.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 503,
        "error.type": "503",
        "server.address": "a.example",
        "server.port": upstream.port,
        "url.full": f"http://a.example:{upstream.port}/v1/chat/completions",
        "llm_mesh.provider.name": "a",
    }
    assert first.status.status_code is StatusCode.ERROR
    assert first.start_time <= first.end_time <= then.start_time <= then.end_time
    assert then.attributes["http.request.resend_count"] == 1
    assert then.status.status_code is StatusCode.UNSET
    assert sent_parent(upstream) == span_id(recorder.call)
    assert sent_parent(second) == span_id(then)
    call = recorder.call.attributes
    assert call["llm_mesh.fallback"] is True
    assert call["server.address"] == "b.example"
    assert call["llm_mesh.provider.name"] == "b"
    assert recorder.call.status.status_code is StatusCode.UNSET


async def test_the_name_of_a_call_has_the_model_that_has_served_it(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    backends = [
        {"providerHost": "a.example"},
        {"providerHost": "b.example", "priority": 1, "model": "m-2"},
    ]
    mesh = make_mesh(recorder, upstream, second, rule={"backendRefs": backends})
    async with calling(mesh) as client:
        await chat(client)
    assert recorder.call.attributes["gen_ai.request.model"] == "m-2"
    assert recorder.call.name == "chat m-2"


async def test_a_connection_that_fails_has_the_meshs_own_error(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Cut())
    async with calling(make_mesh(recorder, upstream, second)) as client:
        await chat(client)
    failed = [span for span in recorder.attempts if span.status.status_code is StatusCode.ERROR]
    assert failed
    assert {span.attributes["error.type"] for span in failed} == {"upstream_connect_error"}
    assert len(recorder.attempts) == len(upstream.requests) + len(second.requests)


async def test_attempts_and_fallbacks_are_counted_and_failed_ones_not_billed(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Answer(503, [], {**error_body("down"), **chat_completion("x y z")}))
    async with calling(make_mesh(recorder, upstream, second)) as client:
        response = await chat(client)
    seen = len(upstream.requests) + len(second.requests)
    assert response.headers["x-llm-mesh-attempts"] == str(seen)
    assert recorder.total("llm_mesh.attempts") == seen
    failed = {"llm_mesh__attempt__outcome": "error", "error__type": "503"}
    assert recorder.total("llm_mesh.attempts", **failed) == len(upstream.requests)
    (fallback,) = recorder.points("llm_mesh.fallbacks")
    assert dict(fallback.attributes) == {
        "llm_mesh.fallback.from": "a.example",
        "llm_mesh.fallback.to": "b.example",
    }
    assert fallback.value == 1
    assert len(recorder.points("gen_ai.client.operation.duration")) == 1
    assert recorder.total("gen_ai.client.token.usage", server__address="a.example") == 0
    assert recorder.total("asm_llm_proxy_completion_tokens") == 4


CHUNKS = chat_stream(["a", "b"])
HALF_A_BODY = Answer(200, [], b'{"choices":[')
BODIES = {
    "a stream that breaks off": (
        STREAM,
        Stream(CHUNKS[:2], end="reset"),
        "upstream_protocol_error",
    ),
    "a whole stream": (STREAM, Stream(CHUNKS), None),
    "half a body": (CHAT, HALF_A_BODY, "unusable_response"),
    "an error object": (CHAT, Answer(200, [], error_body("down")), "unusable_response"),
}


@pytest.mark.parametrize(("question", "answer", "failure"), BODIES.values(), ids=BODIES)
async def test_an_attempt_counts_by_its_whole_response(
    recorder: Recorder,
    upstream: FakeUpstream,
    second: FakeUpstream,
    question: dict[str, Any],
    answer: Scripted,
    failure: str | None,
) -> None:
    upstream.always(answer)
    async with calling(make_mesh(recorder, upstream, second)) as client:
        await chat(client, question)
    points = recorder.points("llm_mesh.attempts")
    (of_first,) = (p for p in points if p.attributes["llm_mesh.provider.name"] == "a")
    assert (of_first.value, of_first.attributes.get("error.type")) == (1, failure)
    assert recorder.total("llm_mesh.attempts") == len(upstream.requests) + len(second.requests)


async def test_the_only_attempt_fails_with_the_error_of_the_call(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(HALF_A_BODY)
    async with calling(make_mesh(recorder, upstream)) as client:
        assert (await chat(client)).status_code == 502
    failed = {"llm_mesh__attempt__outcome": "error", "error__type": "upstream_protocol_error"}
    assert recorder.total("llm_mesh.attempts", **failed) == 1


async def test_an_answer_that_outlives_a_later_failure_is_told_as_its_own_providers(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Answer(503, [("x-request-id", "from-a")], error_body("down")))
    second.always(Cut())
    async with calling(make_mesh(recorder, upstream, second)) as client:
        response = await chat(client)
    assert response.headers["x-llm-mesh-provider"] == "a"
    assert recorder.call.attributes["llm_mesh.provider.name"] == "a"
    assert recorder.call.attributes["server.address"] == "a.example"
    assert recorder.call.attributes["llm_mesh.upstream.request_id"] == "from-a"


@pytest.mark.parametrize("mode", ["on_retry", "always"])
async def test_the_first_of_two_racing_attempts_may_win(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream, mode: str
) -> None:
    upstream.always(Answer(200, [], chat_completion("Hi"), delay=0.05))
    second.always(Cut(how="stall"))
    rule = {"retry": {"hedgeAfter": "1ms"}}
    mesh = make_mesh(recorder, upstream, second, rule=rule, settings={"attempt_spans": mode})
    async with calling(mesh) as client:
        assert (await chat(client)).headers["x-llm-mesh-provider"] == "a"
    assert recorder.call.attributes["llm_mesh.provider.name"] == "a"
    assert recorder.call.attributes["llm_mesh.attempt.count"] == 2
    hosts = {span.attributes["server.address"]: span for span in recorder.attempts}
    assert set(hosts) == {"a.example", "b.example"}
    assert hosts["a.example"].attributes["http.response.status_code"] == 200
    assert "http.response.status_code" not in hosts["b.example"].attributes


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("mode", ["on_retry", "always"])
async def test_httpxs_instrumentation_makes_the_spans_of_attempts_and_the_mesh_none(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream, mode: str
) -> None:
    upstream.always(DOWN)
    settings = {"upstream_client": "httpx", "attempt_spans": mode}
    async with calling(make_mesh(recorder, upstream, second, settings=settings)) as client:
        assert (await chat(client, STREAM)).status_code == 200
    below = [s for s in recorder.of_kind(SpanKind.CLIENT) if s is not recorder.call]
    assert len(below) == 2
    assert {s.instrumentation_scope.name for s in below} == {"opentelemetry.instrumentation.httpx"}
    assert {s.parent.span_id for s in below} == {recorder.call.context.span_id}
    assert [sent_parent(upstream), sent_parent(second)] == [span_id(s) for s in below]


@pytest.mark.usefixtures("instrumented")
async def test_httpxs_instrumentation_can_be_kept_quiet(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    settings = {"upstream_client": "httpx", "http_client_spans": "suppress"}
    async with calling(make_mesh(recorder, upstream, second, settings=settings)) as client:
        assert (await chat(client)).status_code == 200
    scopes = {span.instrumentation_scope.name for span in recorder.spans}
    assert scopes == {"llm_mesh_middleware"}
    assert len(recorder.attempts) == 2
    assert sent_parent(second) == span_id(recorder.attempts[1])


@pytest.mark.usefixtures("instrumented")
async def test_the_instrumentation_of_httpx_is_nothing_to_a_mesh_on_aiohttp(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    settings = {"upstream_client": "aiohttp", "attempt_spans": "always"}
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        await chat(client)
    assert len(recorder.attempts) == 1
    assert recorder.attempts[0].instrumentation_scope.name == "llm_mesh_middleware"


async def test_a_given_transport_that_is_instrumented_makes_the_spans(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    plain = httpx.MockTransport(lambda request: httpx.Response(200, json=chat_completion("Hi")))
    transport = AsyncOpenTelemetryTransport(plain, tracer_provider=recorder.tracers)
    settings = {"attempt_spans": "always"}
    mesh = make_mesh(recorder, upstream, settings=settings, transport=transport)
    async with calling(mesh) as client:
        await chat(client)
    (below,) = (s for s in recorder.of_kind(SpanKind.CLIENT) if s is not recorder.call)
    assert below.instrumentation_scope.name == "opentelemetry.instrumentation.httpx"


async def test_the_call_is_that_of_the_attempt_whose_answer_is_shown(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    """An answer of the first goes before a failure of the second, which came later."""
    upstream.always(Answer(503, [("x-request-id", "req-1")], error_body("down")))
    second.always(Cut(how="reset"))
    rule = {"retry": {"attempts": 1}}
    async with calling(make_mesh(recorder, upstream, second, rule=rule)) as client:
        answer = await chat(client)
    assert len(second.requests) == 1
    assert (answer.status_code, answer.headers["x-llm-mesh-provider"]) == (503, "a")
    assert recorder.call.attributes["server.address"] == "a.example"
    assert recorder.call.attributes["llm_mesh.upstream.request_id"] == "req-1"
    assert "llm_mesh.fallback" not in recorder.call.attributes
    (point,) = recorder.points("gen_ai.client.operation.duration")
    assert point.attributes["server.address"] == "a.example"
    (record,) = recorder.events("llm_mesh.request")
    assert record.attributes["provider"] == "a"
