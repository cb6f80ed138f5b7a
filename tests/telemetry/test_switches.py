"""LLM_MESH_SPANS and LLM_MESH_METRICS: what is off makes nothing, and changes nothing else."""

from __future__ import annotations

from opentelemetry import trace

from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.telemetry.recording import Recorder, calling, chat, make_mesh

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


async def test_without_spans_metrics_and_records_stay(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.script(Answer(503, [], error_body("down")))
    settings = {"spans": False, "attempt_spans": "always"}
    async with calling(make_mesh(recorder, upstream, second, settings=settings)) as client:
        assert (await chat(client)).status_code == 200
    assert recorder.spans == ()
    assert recorder.total("gen_ai.client.token.usage") == 6
    (record,) = recorder.events("llm_mesh.request")
    assert "trace_id" not in record.attributes


async def test_without_spans_the_clients_trace_context_is_forwarded(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream, settings={"spans": False})) as client:
        await chat(client, headers={"traceparent": TRACEPARENT})
    assert upstream.requests[0].header("traceparent") == TRACEPARENT
    (record,) = recorder.events("llm_mesh.request")
    assert record.attributes["trace_id"] == TRACE_ID


async def test_without_spans_the_applications_active_span_is_forwarded(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    tracer = recorder.tracers.get_tracer("application")
    async with calling(make_mesh(recorder, upstream, settings={"spans": False})) as client:
        with tracer.start_as_current_span("chat by an instrumented SDK") as span:
            await chat(client)
    assert [each.name for each in recorder.spans] == ["chat by an instrumented SDK"]
    sent = upstream.requests[0].header("traceparent") or ""
    assert sent.split("-")[2] == trace.format_span_id(span.get_span_context().span_id)


async def test_without_metrics_spans_and_records_stay(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    settings = {"metrics": False, "chunk_metrics": True}
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        await chat(client)
        await chat(client, {"model": "m-1", "messages": [], "stream": True})
    assert recorder.metrics() == {}
    assert len(recorder.calls) == 2
    assert len(recorder.events("llm_mesh.request")) == 2


async def test_with_both_off_a_call_is_served(recorder: Recorder, upstream: FakeUpstream) -> None:
    settings = {"metrics": False, "spans": False}
    async with calling(make_mesh(recorder, upstream, settings=settings)) as client:
        assert (await chat(client)).status_code == 200
    assert recorder.spans == ()
    assert recorder.metrics() == {}
