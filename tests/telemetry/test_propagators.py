"""Propagators: the standard ones by a short way that shows no difference, others as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from llm_mesh_middleware._telemetry.spans.propagation import LazyContext, with_trace
from llm_mesh_middleware.testing import FakeUpstream
from tests.telemetry.recording import Recorder, calling, chat, make_mesh

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C


class ByQuestion(TextMapPropagator):
    """Reads a field that is not among those that it writes."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
        (found,) = getter.get(carrier, "x-asked") or ["0"]
        parent = SpanContext(int(found, 16), 1, is_remote=True, trace_flags=TraceFlags(1))
        return trace.set_span_in_context(NonRecordingSpan(parent), context)

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        sent = trace.get_current_span(context).get_span_context()
        carrier["X-Told"] = trace.format_trace_id(sent.trace_id)

    @property
    def fields(self) -> set[str]:
        return {"X-Told"}


@pytest.fixture
def global_textmap() -> Iterator[None]:
    """Restore the process's propagator after the test."""
    before = propagate.get_global_textmap()
    yield
    propagate.set_global_textmap(before)


@dataclass
class Wrapped(TextMapPropagator):
    """Compared by value, and so without a hash, as the wrappers of some distributions are."""

    wrapped: TextMapPropagator

    def extract(self, carrier: Any, *args: Any, **kwargs: Any) -> Context:
        return self.wrapped.extract(carrier, *args, **kwargs)

    def inject(self, carrier: Any, *args: Any, **kwargs: Any) -> None:
        self.wrapped.inject(carrier, *args, **kwargs)

    @property
    def fields(self) -> set[str]:
        return self.wrapped.fields


@pytest.fixture(params=[lambda each: each, lambda each: CompositePropagator([each]), Wrapped])
def by_question(request: pytest.FixtureRequest, global_textmap: None) -> None:
    propagate.set_global_textmap(request.param(ByQuestion()))


@pytest.mark.usefixtures("by_question")
async def test_a_propagator_of_the_applications_own_reads_and_writes_what_it_likes(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, headers={"x-asked": f"{TRACE_ID:x}", "x-told": "stale"})
    assert recorder.call.context.trace_id == TRACE_ID
    assert upstream.requests[0].header("x-told") == f"{TRACE_ID:032x}"
    assert upstream.requests[0].header("traceparent") is None


@pytest.mark.usefixtures("global_textmap")
async def test_a_wrapper_of_the_standard_propagators_does_as_they_do(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    propagate.set_global_textmap(Wrapped(propagate.get_global_textmap()))
    sent = {"traceparent": f"00-{TRACE_ID:032x}-00000000000000b7-01", "baggage": "plan=pro"}
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client, headers=sent)
    assert recorder.call.context.trace_id == TRACE_ID
    written = upstream.requests[0].header("traceparent") or ""
    assert written.split("-")[1:3] == [f"{TRACE_ID:032x}", f"{recorder.call.context.span_id:016x}"]
    assert upstream.requests[0].header("baggage") is None


class Broken(TextMapPropagator):
    """Fails in what is named, and otherwise does nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
        self._fail("extract")
        return context or Context()

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        self._fail("inject")

    @property
    def fields(self) -> set[str]:
        self._fail("fields")
        return {"x-told"}

    def _fail(self, name: str) -> None:
        if name == self._name:
            raise RuntimeError(name)


@pytest.mark.usefixtures("global_textmap")
@pytest.mark.parametrize("name", ["extract", "inject", "fields"])
async def test_a_propagator_that_fails_leaves_span_metrics_and_record(
    recorder: Recorder,
    upstream: FakeUpstream,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    propagate.set_global_textmap(Broken(name))
    async with calling(make_mesh(recorder, upstream)) as client:
        for _ in range(2):
            assert (await chat(client)).status_code == 200
    assert len(recorder.calls) == 2
    assert recorder.total("llm_mesh.attempts") == 2
    assert len(recorder.events("llm_mesh.request")) == 2
    assert [r.exc_info[1].args for r in caplog.records if r.exc_info] == [(name,)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sent",
    [
        SpanContext(TRACE_ID, 0xB7, is_remote=False, trace_flags=TraceFlags(1)),
        SpanContext(TRACE_ID, 0xB7, is_remote=False, trace_flags=TraceFlags(2)),
        SpanContext(
            TRACE_ID, 0xB7, is_remote=True, trace_state=TraceState([("a", "1"), ("b", "")])
        ),
        trace.INVALID_SPAN_CONTEXT,
    ],
)
def test_the_short_way_writes_what_the_standards_propagator_writes(sent: SpanContext) -> None:
    context = trace.set_span_in_context(NonRecordingSpan(sent), Context())
    expected: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(expected, context)

    written = with_trace(((b"traceparent", b"stale"), (b"accept", b"*/*")), LazyContext(context))

    assert dict(written) == {b"accept": b"*/*"} | {
        name.encode(): value.encode() for name, value in expected.items()
    }
