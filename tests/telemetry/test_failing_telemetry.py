"""Telemetry that fails is logged once and changes no answer; without an SDK all is well."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from llm_mesh_middleware.observing import Observation
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.telemetry.recording import STREAM, Recorder, calling, chat, make_mesh


class BrokenExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("the collector is down")


class BrokenStart(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("on_start")


class BrokenEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("on_end")


class BrokenSampler(Sampler):
    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        raise RuntimeError("should_sample")

    def get_description(self) -> str:
        return "broken"


class BrokenObservation(Observation):
    """Fails in the hooks that are named."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, self.fail)

    def fail(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("a hook")


def broken_observer(request: object) -> Observation:
    raise RuntimeError("an observer")


HOOKS = ("selected", "sending", "answered", "replying", "summarised", "ended")


def tracers(processor: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


BROKEN: dict[str, Callable[[], dict[str, Any]]] = {
    "exporter": lambda: {"tracer_provider": tracers(SimpleSpanProcessor(BrokenExporter()))},
    "on_start": lambda: {"tracer_provider": tracers(BrokenStart())},
    "on_end": lambda: {"tracer_provider": tracers(BrokenEnd())},
    "sampler": lambda: {
        "tracer_provider": TracerProvider(sampler=BrokenSampler(), shutdown_on_exit=False)
    },
    "observer": lambda: {"observer": broken_observer},
    **{
        hook: lambda hook=hook: {"observer": lambda _: BrokenObservation(hook)}  # type: ignore[misc]
        for hook in HOOKS
    },
    "every hook": lambda: {"observer": lambda _: BrokenObservation(*HOOKS)},
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_fails_changes_no_answer_and_is_logged_once(
    upstream: FakeUpstream,
    second: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    options = {"attempt_spans": "always"}
    whole, events = Answer(200, [], chat_completion("Hi")), Stream(chat_stream(["Hi"]))
    upstream.always(lambda request: events if request.json().get("stream") else whole)
    async with calling(make_mesh(None, upstream, second, settings=options)) as client:
        expected = [await chat(client), await chat(client, STREAM)]
    mesh = make_mesh(None, upstream, second, settings=options, **BROKEN[what]())
    async with calling(mesh) as client:
        for answer, body in zip(expected, (None, STREAM), strict=True):
            got = await chat(client, body)
            assert (got.status_code, got.content) == (answer.status_code, answer.content)
        upstream.always(Answer(503, [], error_body("down")))
        assert (await chat(client)).headers["x-llm-mesh-provider"] == "b"
        assert (await client.post("/v1/unknown", json={})).status_code == 404
    assert {status.in_flight for status in mesh.health().values()} == {0}
    own = [r for r in caplog.records if r.name == "llm_mesh_middleware" and r.exc_info]
    assert len(own) == (0 if what == "exporter" else 1)


async def test_an_observer_that_fails_does_not_keep_the_others_from_their_work(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream, observer=broken_observer)) as client:
        await chat(client)
    assert recorder.call.attributes["gen_ai.usage.output_tokens"] == 4


@pytest.mark.parametrize("processor", [BrokenStart(), BrokenEnd()], ids=["on_start", "on_end"])
async def test_spans_that_fail_leave_metrics_and_records(
    recorder: Recorder,
    upstream: FakeUpstream,
    processor: SpanProcessor,
) -> None:
    recorder.tracers = tracers(processor)
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
    assert recorder.total("llm_mesh.requests.active") == 0
    assert recorder.total("asm_llm_proxy_prompt_tokens") == 2
    assert len(recorder.events("llm_mesh.request")) == 1


async def test_content_that_cannot_be_redacted_does_not_keep_the_span_open(
    recorder: Recorder, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")

    def redact(text: str) -> str:
        raise RuntimeError("cannot")

    async with calling(make_mesh(recorder, upstream, redact=redact)) as client:
        assert (await chat(client)).status_code == 200
    assert recorder.call.attributes["gen_ai.usage.output_tokens"] == 4
    assert "gen_ai.input.messages" not in recorder.call.attributes
    assert recorder.total("gen_ai.client.token.usage") == 6
    assert recorder.server.attributes["http.response.status_code"] == 200


async def test_without_an_sdk_everything_works(
    upstream: FakeUpstream, second: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh.access")
    upstream.script(Answer(503, [], error_body("down")))
    async with calling(make_mesh(None, upstream, second)) as client:
        assert (await chat(client, STREAM)).status_code == 200
        assert (await chat(client)).status_code == 200
    records = [r.llm_mesh for r in caplog.records if r.name == "llm_mesh.access"]  # type: ignore[attr-defined]
    assert [record["attempts"] for record in records] == [2, 1]
    assert {record["trace_id"] for record in records} == {None}
    assert not [record for record in caplog.records if record.exc_info]


async def test_metrics_alone_need_no_tracer(upstream: FakeUpstream) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    async with calling(make_mesh(None, upstream, meter_provider=meters)) as client:
        await chat(client)
    assert "gen_ai.client.token.usage" in reader.get_metrics_data().to_json()
