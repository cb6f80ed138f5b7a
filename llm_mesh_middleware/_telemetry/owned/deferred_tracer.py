"""Makes deferred spans in place of the SDK's tracer.

The sampler decides as for the SDK's tracer; ids, flags and tracestate are the same. A span that is
not recorded is a `NonRecordingSpan`. While a processor handles starts, the SDK's tracer makes the
spans.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer as SDKTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from .deferred_spans import NOTHING, DeferredSpan, Handover
from .ids import Ids

__all__ = ["DeferredTracer"]

_UNSAMPLED = frozenset((Decision.DROP, Decision.RECORD_ONLY))
_new_ids = Ids().new


class DeferredTracer(trace.Tracer):
    """Makes deferred spans in place of the SDK's tracer."""

    def __init__(self, tracer: SDKTracer, handover: Handover) -> None:
        self._tracer = tracer
        self._tracer_config = None
        # Which the SDK replaces; releases without it are never switched off.
        self._configured: Any = tracer if hasattr(tracer, "_tracer_config") else self
        self._config = self._configured._tracer_config
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
        handover = self.handover
        if handover.group._span_processors is not handover.seen:
            handover.look()
        if not handover.is_open or self._configured._tracer_config is not self._config:
            return self._tracer.start_span(name, context, kind, attributes, links, start_time)
        # An empty context has none; instead of None, the current one would be read.
        parent = None if context is not None and not context else _parent(context)
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
        initial_attributes = NOTHING if attributes is None else attributes
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
    span = trace.get_current_span(context)
    if span is trace.INVALID_SPAN:
        return None
    found = span.get_span_context()
    return found if found.is_valid else None


def _ids_below(parent: SpanContext) -> bytes:
    return parent.trace_id.to_bytes(16, "big") + _new_ids()[16:]


def _copied(links: Sequence[Link] | None) -> Sequence[Link]:
    return tuple([Link(each.context, each.attributes or {}) for each in links]) if links else ()
