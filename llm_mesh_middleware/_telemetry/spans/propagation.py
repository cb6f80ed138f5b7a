"""Trace context from the client to the mesh and on to the provider (W3C Trace Context).

Baggage is not handed to third parties; `LLM_MESH_FORWARD_HEADERS=baggage` passes the client's own.
"""

from __future__ import annotations

import msgspec
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import Link, Span, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..._core.private import PerCall
from ..._core.values.headers import Headers

__all__ = [
    "LazyContext",
    "Propagation",
    "active_context",
    "incoming_context",
    "linked_spans",
    "propagation_now",
    "sent_span",
    "with_trace",
    "without_baggage",
]

_BAGGAGE = b"baggage"
# These read the fields that they write, and no others.
_STANDARD = (TraceContextTextMapPropagator, W3CBaggagePropagator)


class LazyContext(PerCall):
    """A context that is made when it is first read: `base`, with `span` active if there is one.

    Copying a context takes longer than writing a header.
    """

    base: Context
    span: Span | None = None
    _made: Context | None = None

    @property
    def context(self) -> Context:
        """The context in which the span is active."""
        if self.span is None:
            return self.base
        made = self._made
        if made is None:
            made = self._made = trace.set_span_in_context(self.span, self.base)
        return made


class _HeaderGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        values = [value.decode("latin-1") for value in carrier.get_all(key.lower().encode())]
        return values or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_getter = _HeaderGetter()


def active_context() -> tuple[Context, bool]:
    """Return the context of this process, and whether a span is active in it."""
    current = get_current()
    if not current:
        return current, False
    span = trace.get_current_span(current)
    return current, span is not trace.INVALID_SPAN and span.get_span_context().is_valid


def incoming_context(headers: Headers, propagation: Propagation) -> tuple[Context, bool, bool]:
    """Return the context of the call, whether a span of this process is active in it, and whether
    the client may have sent one.

    An active span, of the application or of its instrumentation, overrides what the client sent.
    """
    current = get_current()
    if current and (active := active_context())[1]:
        return *active, True
    read = propagation.read
    if read is not None and headers.by_name.keys().isdisjoint(read):
        return current, False, False
    return propagation.propagator.extract(headers, current, _getter), False, True


def sent_span(headers: Headers) -> SpanContext:
    """Return the span that the client sent, an invalid one if there is none."""
    propagation = propagation_now()
    read = propagation.read
    if read is not None and headers.by_name.keys().isdisjoint(read):
        return trace.INVALID_SPAN_CONTEXT
    context = propagation.propagator.extract(headers, Context(), _getter)
    return trace.get_current_span(context).get_span_context()


def linked_spans(headers: Headers, context: Context) -> tuple[Link, ...]:
    """Return a link to the caller's span, if it is in another trace than the active span.

    That happens when an application calls the mesh inside its process, or passes a trace on by
    hand: the active span is the parent, and the other one must not be lost.
    """
    if propagation_now().written.isdisjoint(headers.by_name):
        return ()
    sent = trace.get_current_span(propagate.extract(headers, Context(), _getter)).get_span_context()
    active = trace.get_current_span(context).get_span_context()
    return (Link(sent),) if sent.is_valid and sent.trace_id != active.trace_id else ()


def with_trace(
    headers: tuple[tuple[bytes, bytes], ...],
    parent: LazyContext,
    propagation: Propagation | None = None,
    *,
    has_none: bool = False,
) -> tuple[tuple[bytes, bytes], ...]:
    """Return `headers` with the trace context of `parent` as their own, without baggage.

    With `has_none`, they are known to have none. `propagation` is that of the process by default.
    """
    if propagation is None:
        propagation = propagation_now()
    if not has_none:
        written = propagation.written
        for name, _ in headers:  # a `dict` of them would take twice as long
            if name in written:
                headers = tuple([field for field in headers if field[0] not in written])
                break
    if propagation.is_plain:
        span = parent.span or trace.get_current_span(parent.base)
        write = getattr(span, "trace_fields", None)  # of a deferred span, which has them as bytes
        fields: tuple[tuple[bytes, bytes], ...] | None = None if write is None else write()
        return headers + (_trace_fields(span) if fields is None else fields)
    injected: dict[str, str] = {}
    context = without_baggage(parent.context)
    for writer in propagation.writers:
        writer.inject(injected, context)
    made = [(name.lower().encode(), value.encode("latin-1")) for name, value in injected.items()]
    return (*headers, *made)


def _trace_fields(span: Span) -> tuple[tuple[bytes, bytes], ...]:
    """Return W3C Trace Context as its propagator writes it, in a third of the time."""
    sent = span.get_span_context()
    if not sent.is_valid:
        return ()
    ids = b"00-%032x-%016x-%02x" % (sent.trace_id, sent.span_id, sent.trace_flags)
    if not sent.trace_state:
        return ((b"traceparent", ids),)
    state = sent.trace_state.to_header().encode("latin-1")
    return (b"traceparent", ids), (b"tracestate", state)


def without_baggage(context: Context) -> Context:
    """Return `context` without baggage, which third parties must not get."""
    return baggage.clear(context) if baggage.get_all(context) else context


class Propagation(msgspec.Struct, frozen=True):
    """The header fields that `propagator` reads and writes.

    `written` are the header fields that it writes, without baggage; `writers` are the parts that
    write them. `read` are all the fields that it reads, None if that is not known. `is_plain`: it
    writes W3C Trace Context and nothing else.
    """

    propagator: TextMapPropagator
    written: frozenset[bytes]
    read: frozenset[bytes] | None
    writers: tuple[TextMapPropagator, ...]
    is_plain: bool


# An application sets its propagator once. It is compared by identity: it may not be hashable.
_latest: Propagation | None = None


def propagation_now() -> Propagation:
    """Return what the propagator of the process reads and writes.

    Most propagators build their list of fields on each access.
    """
    global _latest
    propagator, latest = propagate.get_global_textmap(), _latest
    if latest is None or latest.propagator is not propagator:
        latest = _latest = _examine(propagator)
    return latest


def _examine(propagator: TextMapPropagator) -> Propagation:
    parts = _parts(propagator)
    fields = frozenset(name.lower().encode() for name in propagator.fields)
    is_standard = all(type(part) in _STANDARD for part in parts)
    writers = tuple(part for part in parts if type(part) is not W3CBaggagePropagator)
    return Propagation(
        propagator,
        written=fields - {_BAGGAGE},
        read=fields if is_standard else None,
        writers=writers,
        is_plain=[type(part) for part in writers] == [TraceContextTextMapPropagator],
    )


def _parts(propagator: TextMapPropagator) -> tuple[TextMapPropagator, ...]:
    """Return the parts of a composite propagator; any other is one part, whatever it holds."""
    if type(propagator) is CompositePropagator:
        return tuple(getattr(propagator, "_propagators", (propagator,)))
    return (propagator,)
