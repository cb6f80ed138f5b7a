"""Spans that only keep their fields until they are exported.

    start    its tracer gives it ids, flags and tracestate (`deferred_tracer`)
    end      it is handed over: to the queues of processors whose exporters encode it, or to all
             processors, which read it as one of the SDK

A `SpanContext` is made when it is first read: our own headers are written from the ids.
"""

from __future__ import annotations

import time
from binascii import hexlify
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

__all__ = ["NOTHING", "UNSET", "DeferredSpan", "Handover", "Origin"]

UNSET = Status(StatusCode.UNSET)
"""The status of a span that has none, one object."""

NOTHING: dict[str, Any] = {}
"""The attributes of a span that has none; never changed."""

_TRACE_FLAGS = tuple(TraceFlags(flags) for flags in range(4))
_FLAGS = tuple(b"%02x" % flags for flags in range(4))


class Handover(Protocol):
    """Takes spans that have ended.

    `group` has the processors, of which `is_open` and `seen` tell those that were there at the last
    look. `is_open`: no processor handles the start of a span.
    """

    group: Any
    seen: object
    is_open: bool

    def look(self) -> None:
        """Look at the processors that there are now."""

    def take(self, span: DeferredSpan) -> None:
        """Take a span; it is not changed any more."""


class Origin(Protocol):
    """What all spans of a tracer have in common, and who takes them when they have ended."""

    scope: InstrumentationScope
    info: InstrumentationInfo
    handover: Handover

    @property
    def resource(self) -> Resource:
        """The resource of the process."""


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
        tracer: Origin,
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
        self.known_attributes: Mapping[str, Any] = NOTHING
        self.added_attributes = NOTHING
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
        initial, known = self.initial_attributes, self.known_attributes
        return MappingProxyType({**initial, **known, **self.added_attributes})

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The scope of the tracer."""
        return self.tracer.scope

    @property
    def context(self) -> SpanContext:
        """The ids."""
        return self.get_span_context()

    @property
    def _context(self) -> SpanContext:  # type: ignore[override]
        return self.get_span_context()

    @property
    def _attributes(self) -> Mapping[str, Any]:
        return self.attributes

    @_attributes.setter
    def _attributes(self, attributes: Mapping[str, Any] | None) -> None:
        self.added_attributes = dict(attributes or {})
        self.initial_attributes = self.known_attributes = NOTHING

    @property
    def _resource(self) -> Resource:  # type: ignore[override]
        return self.tracer.resource

    @property
    def _instrumentation_scope(self) -> InstrumentationScope:  # type: ignore[override]
        return self.tracer.scope

    @property
    def _instrumentation_info(self) -> Any:  # type: ignore[override]
        return self.tracer.info

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied as a span of the SDK, without the tracer."""
        made = partial(
            ReadableSpan,
            context=self.get_span_context(),
            parent=self.parent,
            resource=self.resource,
            attributes=dict(self.attributes),
            events=self.events,
            links=self.links,
            kind=self.kind,
            instrumentation_info=self._instrumentation_info,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=self.instrumentation_scope,
        )
        return made, (self.name,)

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
        return ((b"traceparent", b"-".join((b"00", ids, _FLAGS[self.flags]))),)

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
            self.initial_attributes = self.known_attributes = NOTHING
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
            self.events = [*self.events, Event(name, attributes, timestamp)]

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


# The private names that a `ReadableSpan` has for its fields; processors that redact change them.
# `__getattr__` would make every access to any field slower.
for _field in ("end_time", "events", "kind", "links", "name", "parent", "start_time", "status"):
    setattr(DeferredSpan, f"_{_field}", getattr(DeferredSpan, _field))
