"""Spans that are notes until they end, and then one `ReadableSpan` for the processors.

    start   the sampler decides as the SDK's tracer would have it decide; ids, flags and tracestate
            are the same. What is not recorded is a `NonRecordingSpan`.
    end     built with all of its attributes at once, and handed to the processors

The SDK's own tracer is used for as long as a processor wants to know of a start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

__all__ = ["LateSpan", "LateTracer"]

_UNSET = Status(StatusCode.UNSET)
_UNSAMPLED = frozenset((Decision.DROP, Decision.RECORD_ONLY))


class LateSpan(trace.Span):
    """One recorded span."""

    def __init__(
        self,
        tracer: SDKTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        links: Sequence[Link],
        start_time: int | None,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._attributes = attributes
        self._links = links
        self._events: list[Event] = []
        self._status = _UNSET
        self._start_time = time.time_ns() if start_time is None else start_time
        self._is_over = False

    def get_span_context(self) -> SpanContext:
        """Return the ids."""
        return self._context

    def is_recording(self) -> bool:
        """Return whether it has not ended."""
        return not self._is_over

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Note attributes."""
        if not self._is_over:
            self._attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Note an attribute."""
        if not self._is_over:
            self._attributes[key] = value

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Note an event."""
        if not self._is_over:
            self._events.append(Event(name, attributes, timestamp))

    def update_name(self, name: str) -> None:
        """Change the name."""
        self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status, unless it is `OK` already."""
        made = status if isinstance(status, Status) else Status(status, description)
        is_final = self._status.status_code is StatusCode.OK
        if not self._is_over and not is_final and made.status_code is not StatusCode.UNSET:
            self._status = made

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note an exception by its type; its text could repeat anything."""
        described = {"exception.type": type(exception).__qualname__, **(attributes or {})}
        self.add_event("exception", described, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Build the span, and hand it to the processors; once."""
        if self._is_over:
            return
        self._is_over = True
        tracer = self._tracer
        tracer.span_processor.on_end(
            ReadableSpan(
                name=self._name,
                context=self._context,
                parent=self._parent,
                resource=tracer.resource,
                attributes=self._attributes,
                events=self._events,
                links=self._links,
                kind=self._kind,
                instrumentation_info=tracer.instrumentation_info,
                status=self._status,
                start_time=self._start_time,
                end_time=time.time_ns() if end_time is None else end_time,
                instrumentation_scope=tracer._instrumentation_scope,
            )
        )


class LateTracer(trace.Tracer):
    """Makes late spans in place of the SDK's tracer."""

    def __init__(self, tracer: SDKTracer, is_plain: Callable[[], bool]) -> None:
        """`is_plain` tells whether no processor wants to know of a start."""
        self._tracer = tracer
        self._is_plain = is_plain

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Start a span, or return one that is not recorded."""
        tracer = self._tracer
        if not self._is_plain():
            return tracer.start_span(name, context, kind, attributes, links, start_time)
        found = trace.get_current_span(context).get_span_context()
        parent = found if found.is_valid else None
        ids, links = tracer.id_generator, links or ()
        trace_id = ids.generate_trace_id() if parent is None else parent.trace_id
        sampled = tracer.sampler.should_sample(context, trace_id, name, kind, attributes, links)
        decision = sampled.decision
        flags = TraceFlags.DEFAULT if decision in _UNSAMPLED else TraceFlags.SAMPLED
        own = SpanContext(
            trace_id,
            ids.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(flags | _random_flag(ids, parent)),
            trace_state=sampled.trace_state,
        )
        if decision is Decision.DROP:
            return trace.NonRecordingSpan(own)
        noted = dict(sampled.attributes or ())
        if links:
            links = [Link(each.context, each.attributes or {}) for each in links]
        return LateSpan(tracer, name, own, parent, kind, noted, links, start_time)

    def start_as_current_span(self, *args: Any, **words: Any) -> Any:
        """Do as the SDK's tracer does: nothing here uses it."""
        return self._tracer.start_as_current_span(*args, **words)


# The flag of W3C Trace Context, level 2; releases of the SDK without it set none.
_RANDOM = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


def _random_flag(ids: Any, parent: SpanContext | None) -> int:
    if not _RANDOM:
        return 0
    if parent is not None:
        return parent.trace_flags & _RANDOM
    return _RANDOM if ids.is_trace_id_random() else 0
