"""Spans and points as we encode them are, byte by byte, what OpenTelemetry's exporter encodes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as sdk_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from llm_mesh_middleware._telemetry.owned.deferred_spans import DeferredSpan
from llm_mesh_middleware._telemetry.owned.deferred_tracer import DeferredTracer
from llm_mesh_middleware._telemetry.owned.handover import ProcessorHandover
from llm_mesh_middleware._telemetry.owned.otlp.spans import encode_spans
from llm_mesh_middleware._telemetry.owned.otlp.wire import attributes, varint
from tests.conftest import slow

MANY = pytest.mark.parametrize("count", [300, *slow(10_000)])
RESOURCES = [
    Resource({"service.name": "a", "numbers": (1, 2), "on": True}, "https://schema.example/1"),
    Resource({"service.name": "b"}),
]
SCOPES = [
    InstrumentationScope("mesh", "1.0", "https://schema.example/2", {"of": "a scope"}),
    InstrumentationScope("mesh", "1.0"),
    InstrumentationScope("", None),
]
VALUES: list[Any] = [
    *("", "text", "ä\n€😀", "x" * 3000, True, False, 0, 1, -1, 127, 128, 2047, 2048),
    *(1 << 40, (1 << 63) - 1, -(1 << 63), 0.0, -0.0, 0.5, 1e300, float("inf"), float("nan")),
    *(b"", b"\x00\xff", (), ("a", "b"), (1, -1), (True, False), (0.5,), (None, "a"), None),
    *(["list"], {"map": {"in": ["a", 1]}, "b": b"x"}),
]
STATES = [None, TraceState([("vendor", "1"), ("other", "x")])]


def some_attributes(draw: random.Random, most: int = 25) -> dict[str, Any]:
    return {f"name.{draw.randrange(40)}": draw.choice(VALUES) for _ in range(draw.randrange(most))}


def some_context(draw: random.Random) -> SpanContext:
    return SpanContext(
        draw.getrandbits(127) + 1,
        draw.getrandbits(63) + 1,
        draw.random() < 0.5,
        TraceFlags(draw.choice([0, 1, 3])),
        draw.choice(STATES),
    )


def some_event(draw: random.Random) -> Event:
    return Event(f"event {draw.randrange(3)}", some_attributes(draw, 3), draw.getrandbits(62))


def some_status(draw: random.Random) -> Status:
    code = draw.choice(list(StatusCode))
    return Status(code, "why" if code is StatusCode.ERROR and draw.random() < 0.5 else None)


def some_links(draw: random.Random) -> list[Link]:
    return [
        Link(some_context(draw), some_attributes(draw, 3)) for _ in range(draw.choice([0, 0, 1, 3]))
    ]


def some_sdk_span(draw: random.Random) -> ReadableSpan:
    return ReadableSpan(
        name=draw.choice(["", "chat", "chat gpt-ä"]),
        context=some_context(draw),
        parent=draw.choice([None, some_context(draw)]),
        resource=draw.choice(RESOURCES),
        attributes=some_attributes(draw),
        events=[some_event(draw) for _ in range(draw.choice([0, 0, 1, 2]))],
        links=some_links(draw),
        kind=draw.choice(list(SpanKind)),
        status=some_status(draw),
        start_time=draw.choice([0, draw.getrandbits(62)]),
        end_time=draw.getrandbits(62),
        instrumentation_scope=draw.choice([*SCOPES, None]),
    )


def some_deferred_span(
    draw: random.Random, tracer: DeferredTracer, kept: list[dict[str, Any]]
) -> DeferredSpan:
    attributes = draw.choice([draw.choice(kept), some_attributes(draw)])
    outside = Context()
    if draw.random() < 0.5:
        outside = trace.set_span_in_context(trace.NonRecordingSpan(some_context(draw)), outside)
    span = tracer.start_span(
        f"chat {draw.randrange(3)}",
        outside,
        draw.choice(list(SpanKind)),
        attributes,
        some_links(draw),
    )
    assert isinstance(span, DeferredSpan)
    if draw.random() < 0.3:
        known = {f"known.{name}": value for name, value in draw.choice(kept).items()}
        span.set_distinct(attributes, known, {"own": draw.random(), "count": draw.randrange(3000)})
    for _ in range(draw.randrange(3)):
        span.set_attributes(some_attributes(draw))
    if draw.random() < 0.3:
        span.add_event("happened", some_attributes(draw, 3))
        span.add_event("again")
    if draw.random() < 0.3:
        span.set_status(some_status(draw))
    span.end()
    return span


def deferred_tracer() -> DeferredTracer:
    provider = TracerProvider(sampler=ALWAYS_ON, resource=RESOURCES[0], shutdown_on_exit=False)
    tracer: Any = provider.get_tracer("mesh", "1.0", "https://schema.example/2")
    return DeferredTracer(
        tracer, ProcessorHandover(provider, lambda exporter: pytest.fail("queued"))
    )


@MANY
def test_spans_of_the_sdk_are_the_same_bytes(count: int) -> None:
    draw = random.Random(3)
    spans = [some_sdk_span(draw) for _ in range(count)]

    for at in range(0, count, 100):
        batch = spans[at : at + 100]
        assert encode_spans(batch) == sdk_spans(batch).SerializeToString()


@MANY
def test_our_spans_are_the_bytes_that_the_sdk_would_send(count: int) -> None:
    draw, tracer = random.Random(4), deferred_tracer()
    kept = [some_attributes(draw) for _ in range(30)]  # as calls that are alike start with
    spans = [some_deferred_span(draw, tracer, kept) for _ in range(count)]

    for at in range(0, count, 100):
        batch = spans[at : at + 100]
        assert encode_spans(batch) == sdk_spans(batch).SerializeToString()


def test_dropped_counts_are_sent() -> None:
    from opentelemetry.sdk.trace import SpanLimits

    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1, max_event_attributes=1)
    provider = TracerProvider(span_limits=limits, shutdown_on_exit=False)
    links = [Link(SpanContext(1, 2, False)), Link(SpanContext(3, 4, True))]
    span: Any = provider.get_tracer("t").start_span("s", attributes={"a": 1, "b": 2}, links=links)
    span.add_event("e", {"a": 1, "b": 2})
    span.add_event("f", {"a": 1, "b": 2})
    span.end()

    assert (span.dropped_attributes, span.dropped_events, span.dropped_links) == (1, 1, 1)
    assert encode_spans([span]) == sdk_spans([span]).SerializeToString()


@pytest.mark.parametrize("value", [1 << 63, "\ud800", object(), ["ok", 1 << 80]])
def test_an_attribute_that_cannot_be_encoded_is_left_out(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert attributes(9, {"a": 1, "bad": value, "b": 2}) == attributes(9, {"a": 1, "b": 2})
    assert "'bad'" in caplog.text


def test_values_of_another_type_are_not_taken_for_each_other() -> None:
    for values in ([1, True, 1.0, "1"], [True, 1, "1", 1.0], [0.0, -0.0, 0, False]):
        for value in (*values, *reversed(values)):
            made = attributes(9, {"one": value})
            span = ReadableSpan("s", SpanContext(1, 2, False), attributes={"one": value})
            assert made in sdk_spans([span]).SerializeToString()


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2047, 2048, 16383, 16384, 1 << 35, 2**64 - 1])
def test_numbers_have_seven_bits_a_byte(number: int) -> None:
    made = varint(number)

    assert sum((byte & 127) << 7 * at for at, byte in enumerate(made)) == number
    assert [byte > 127 for byte in made] == [True] * (len(made) - 1) + [False]
