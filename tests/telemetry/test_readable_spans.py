"""Processors and exporters read our spans as those of the SDK."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from llm_mesh_middleware._telemetry.owned.adoption import adopt
from llm_mesh_middleware._telemetry.owned.registry import adopted_tracer
from tests.telemetry.test_owned import RESOURCE, Ids, tracers


def one_span(provider: TracerProvider, exporter: Any) -> tuple[trace.Span, Any]:
    """A span as it was made, and as the exporter got it."""
    tracer = adopted_tracer(provider, provider.get_tracer("scope", "1"))
    link = Link(SpanContext(1, 2, True), {"why": "so"})
    span = tracer.start_span("chat", Context(), SpanKind.CLIENT, {"a": 1}, [link], 5)
    span.set_attributes({"b": ("x", "y")})
    span.add_event("happened", {"c": 2}, 6)
    span.set_status(StatusCode.ERROR, "why")
    span.end(7)
    return span, exporter.get_finished_spans()[0]


def test_exporters_read_all_of_our_spans_as_of_those_of_the_sdk() -> None:
    found = []
    for is_adopted in (False, True):
        provider, exporter = tracers()
        if is_adopted:
            adopt(MeterProvider(shutdown_on_exit=False), provider, {})
        span, seen = one_span(provider, exporter)
        assert isinstance(seen, ReadableSpan)
        span.set_attribute("late", True)  # it has ended
        span.update_name("late")
        span.add_event("late")
        names = [
            name for name in dir(ReadableSpan) if isinstance(getattr(ReadableSpan, name), property)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of them is deprecated
            fields = {name: getattr(seen, name) for name in names}
        fields["events"] = [(each.name, each.timestamp, each.attributes) for each in seen.events]
        fields["links"] = [(each.context, each.attributes) for each in seen.links]
        fields["status"] = seen.status.status_code, seen.status.description
        found.append((fields, seen.to_json()))
    assert {type(each["context"]) for each, _ in found} == {SpanContext}
    assert found[0] == found[1]


class Redacting(SpanProcessor):
    """Changes spans that have ended by the SDK's private names, since it has no public ones."""

    def on_end(self, span: Any) -> None:
        span._attributes = {**span._attributes, "a": "***"}
        span._name = span._name.upper()


def test_a_processor_that_redacts_by_private_names_does_so_before_exporters_read() -> None:
    found = []
    for is_adopted in (False, True):
        exporter = InMemorySpanExporter()
        provider = TracerProvider(resource=RESOURCE, id_generator=Ids(), shutdown_on_exit=False)
        provider.add_span_processor(Redacting())
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        if is_adopted:
            adopt(MeterProvider(shutdown_on_exit=False), provider, {})
        _, seen = one_span(provider, exporter)
        assert (seen.name, dict(seen.attributes)) == ("CHAT", {"a": "***", "b": ("x", "y")})
        found.append(seen.to_json())
    assert found[0] == found[1]


def test_a_copy_of_our_span_is_that_of_one_of_the_sdk() -> None:
    found = []
    for is_adopted in (False, True):
        provider, exporter = tracers()
        if is_adopted:
            adopt(MeterProvider(shutdown_on_exit=False), provider, {})
        _, seen = one_span(provider, exporter)
        copies = [copy.copy(seen), copy.deepcopy(seen)]
        found += [each.to_json() for each in (seen, *copies)]
        copies[0]._attributes = {}
        assert seen.attributes
    assert len(set(found)) == 1
