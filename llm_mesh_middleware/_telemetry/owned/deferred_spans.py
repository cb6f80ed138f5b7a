"""Spans that only keep their fields until they are exported.

    start    the sampler decides as for the SDK's tracer; ids, flags and tracestate are the same. A
             span that is not recorded is a `NonRecordingSpan`.
    end      the span is handed over: to the queues of processors whose exporters encode it, or to
             all processors, which read it as one of the SDK

A `SpanContext` is made when it is first read: our own headers are written from the ids. The SDK's
tracer makes the spans while a processor handles their start.
"""

from __future__ import annotations

import time
from binascii import hexlify
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision
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

from .ids import Ids

__all__ = ["UNSET", "DeferredSpan", "DeferredTracer", "Handover"]

UNSET = Status(StatusCode.UNSET)
"""The status of a span that has none, one object."""

_UNSAMPLED = frozenset((Decision.DROP, Decision.RECORD_ONLY))
_NOTHING: dict[str, Any] = {}
_TRACE_FLAGS = tuple(TraceFlags(flags) for flags in range(4))
_FLAGS = tuple(b"-%02x" % flags for flags in range(4))
_new_ids = Ids().new


class Handover(Protocol):
    """Takes spans that have ended."""

    def is_open(self) -> bool:
        """Return whether no processor handles the start of a span."""

    def take(self, span: DeferredSpan) -> None:
        """Take a span; it is not changed any more."""


class DeferredSpan(trace.Span, ReadableSpan):
    """One recorded span, which processors and exporters can read as one of the SDK.

    Its attributes are in three parts without a common name: `initial_attributes` and
    `known_attributes` are kept by reference, and not changed, since those of many spans are one
    object. `ids` are 16 bytes of the trace and 8 of the span.
    """

    # These take the place of the properties of a `ReadableSpan`, which read private names.
    __slots__ = (
        "_context_made",
        "added_attributes",
        "end_time",
        "events",
        "flags",
        "ids",
        "initial_attributes",
        "kind",
        "known_attributes",
        "links",
        "name",
        "parent",
        "start_time",
        "status",
        "trace_state",
        "tracer",
    )

    name: str
    parent: SpanContext | None
    kind: SpanKind
    links: Sequence[Link]
    events: Sequence[Event]
    status: Status
    start_time: int
    end_time: int
    dropped_attributes = dropped_events = dropped_links = 0

    def __init__(
        self,
        tracer: DeferredTracer,
        name: str,
        ids: bytes,
        flags: int,
        parent: SpanContext | None,
        kind: SpanKind,
        initial_attributes: Mapping[str, Any],
        links: Sequence[Link],
        start_time: int,
        trace_state: TraceState | None = None,
    ) -> None:
        self.tracer = tracer
        self.name = name
        self.ids = ids
        self.flags = flags
        self.parent = parent
        self.kind = kind
        self.initial_attributes = initial_attributes
        self.links = links
        self.start_time = start_time
        self.trace_state = trace_state
        self.known_attributes: Mapping[str, Any] = _NOTHING
        self.added_attributes = _NOTHING
        self.events: Sequence[Event] = ()
        self.status = UNSET
        self.end_time = 0
        self._context_made: SpanContext | None = None

    @property
    def resource(self) -> Resource:
        """The resource of the process."""
        return self.tracer.resource

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What has been set."""
        return {**self.initial_attributes, **self.known_attributes, **self.added_attributes}

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The scope of the tracer."""
        return self.tracer.scope

    @property
    def _instrumentation_info(self) -> Any:  # type: ignore[override]
        return self.tracer.info

    @property
    def context(self) -> SpanContext:
        """The ids."""
        return self.get_span_context()

    def get_span_context(self) -> SpanContext:
        """Return the ids."""
        made = self._context_made
        if made is None:
            ids = self.ids
            made = self._context_made = SpanContext(
                int.from_bytes(ids[:16], "big"),
                int.from_bytes(ids[16:], "big"),
                False,
                _TRACE_FLAGS[self.flags],
                self.trace_state,
            )
        return made

    def trace_fields(self) -> tuple[tuple[bytes, bytes], ...] | None:
        """Return W3C Trace Context below this span; None if it has a tracestate."""
        if self.trace_state:
            return None
        ids = hexlify(self.ids, "-", -16)
        return ((b"traceparent", b"00-" + ids + _FLAGS[self.flags]),)

    def is_recording(self) -> bool:
        """Return whether it has not ended."""
        return not self.end_time

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes."""
        if self.end_time:
            return
        initial, known = self.initial_attributes, self.known_attributes
        if not (initial.keys().isdisjoint(attributes) and known.keys().isdisjoint(attributes)):
            self.added_attributes = {**initial, **known, **self.added_attributes, **attributes}
            self.initial_attributes = self.known_attributes = _NOTHING
        elif self.added_attributes:
            self.added_attributes.update(attributes)
        else:
            self.added_attributes = dict(attributes)

    def set_distinct(
        self, started_with: Mapping[str, Any], known: Mapping[str, Any], added: dict[str, Any]
    ) -> None:
        """Set `known` and `added`, which have no name in common, nor with `started_with`."""
        is_distinct = self.initial_attributes is started_with  # no sampler has added any
        if is_distinct and self.known_attributes is self.added_attributes and not self.end_time:
            self.known_attributes, self.added_attributes = known, added
        else:
            self.set_attributes({**known, **added})

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute."""
        self.set_attributes({key: value})

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Add an event."""
        if not self.end_time:
            self.events = (*self.events, Event(name, attributes, timestamp))

    def update_name(self, name: str) -> None:
        """Change the name."""
        if not self.end_time:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status, unless it is `OK` already."""
        made = status if isinstance(status, Status) else Status(status, description)
        is_final = self.status.status_code is StatusCode.OK
        if not self.end_time and not is_final and made.status_code is not StatusCode.UNSET:
            self.status = made

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an exception by its type; its text could contain content of a call."""
        described = {"exception.type": type(exception).__qualname__, **(attributes or {})}
        self.add_event("exception", described, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Hand the span over, the first time."""
        if not self.end_time:
            self.end_time = time.time_ns() if end_time is None else end_time
            self.tracer.handover.take(self)


# The private names that methods of a `ReadableSpan` have for its fields. `__getattr__` would make
# every access to any field slower.
for _field in (
    *("attributes", "context", "end_time", "events", "instrumentation_scope", "kind", "links"),
    *("name", "parent", "resource", "start_time", "status"),
):
    setattr(DeferredSpan, f"_{_field}", property(attrgetter(_field)))


class DeferredTracer(trace.Tracer):
    """Makes deferred spans in place of the SDK's tracer."""

    def __init__(self, tracer: SDKTracer, handover: Handover) -> None:
        self._tracer = tracer
        self._config = getattr(tracer, "_tracer_config", None)
        self.handover = handover
        self.scope: InstrumentationScope = tracer._instrumentation_scope
        self.info = tracer.instrumentation_info
        sampler, ids = tracer.sampler, tracer.id_generator
        # The two usual samplers are not called where their decision is certain.
        samples_all = sampler is ALWAYS_ON or sampler is DEFAULT_ON
        self._is_plain = samples_all and type(ids) is RandomIdGenerator
        self._ignores_parent = sampler is ALWAYS_ON
        self._new_flags = TraceFlags.SAMPLED | _random_flag(ids, None)

    @property
    def resource(self) -> Resource:
        """The resource of the process, which the SDK changes after a fork."""
        return self._tracer.resource

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
        """Start a span, or return one that is not recorded; `attributes` must not be changed."""
        sdk = self._tracer
        if not self.handover.is_open() or getattr(sdk, "_tracer_config", None) is not self._config:
            return sdk.start_span(name, context, kind, attributes, links, start_time)
        parent = _parent(context)
        if not self._is_plain:
            return self._sampled(name, context, parent, kind, attributes, links or (), start_time)
        if parent is None:
            ids, flags, state = _new_ids(), self._new_flags, None
        else:
            if not parent.trace_flags & TraceFlags.SAMPLED and not self._ignores_parent:
                return self._sampled(name, context, parent, kind, attributes, (), start_time)
            ids, state = _ids_below(parent), parent.trace_state or None
            flags = TraceFlags.SAMPLED | parent.trace_flags & _RANDOM
        started = time.time_ns() if start_time is None else start_time
        initial_attributes = _NOTHING if attributes is None else attributes
        copied = _copied(links) if links else ()
        return DeferredSpan(
            self, name, ids, flags, parent, kind, initial_attributes, copied, started, state
        )

    def _sampled(
        self,
        name: str,
        context: Context | None,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Any,
        links: Sequence[Link],
        start_time: int | None,
    ) -> trace.Span:
        """Start a span if the sampler takes it."""
        ids, sampler = self._tracer.id_generator, self._tracer.sampler
        trace_id = ids.generate_trace_id() if parent is None else parent.trace_id
        sampled = sampler.should_sample(context, trace_id, name, kind, attributes, links)
        decision, span_id = sampled.decision, ids.generate_span_id()
        flags = TraceFlags.DEFAULT if decision in _UNSAMPLED else TraceFlags.SAMPLED
        flags |= _random_flag(ids, parent)
        if decision is Decision.DROP:
            own = SpanContext(trace_id, span_id, False, TraceFlags(flags), sampled.trace_state)
            return trace.NonRecordingSpan(own)
        ids_bytes = trace_id.to_bytes(16, "big") + span_id.to_bytes(8, "big")
        started = time.time_ns() if start_time is None else start_time
        initial_attributes, state = dict(sampled.attributes or ()), sampled.trace_state or None
        return DeferredSpan(
            self,
            name,
            ids_bytes,
            flags,
            parent,
            kind,
            initial_attributes,
            _copied(links),
            started,
            state,
        )

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Do as the SDK's tracer does: nothing here uses it."""
        return self._tracer.start_as_current_span(*args, **kwargs)


# The flag of W3C Trace Context, level 2; releases of the SDK without it set none.
_RANDOM = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


def _random_flag(ids: IdGenerator, parent: SpanContext | None) -> int:
    if not _RANDOM:
        return 0
    if parent is not None:
        return parent.trace_flags & _RANDOM
    return _RANDOM if ids.is_trace_id_random() else 0


def _parent(context: Context | None) -> SpanContext | None:
    if not context and context is not None:  # an empty one; the current one would be None
        return None
    span = trace.get_current_span(context)
    if span is trace.INVALID_SPAN:
        return None
    found = span.get_span_context()
    return found if found.is_valid else None


def _ids_below(parent: SpanContext) -> bytes:
    return parent.trace_id.to_bytes(16, "big") + _new_ids()[16:]


def _copied(links: Sequence[Link] | None) -> Sequence[Link]:
    return tuple([Link(each.context, each.attributes or {}) for each in links]) if links else ()
