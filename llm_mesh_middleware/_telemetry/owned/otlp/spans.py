"""Spans as an `ExportTraceServiceRequest`, whether they are ours or the SDK's.

Span    1 trace   2 id   3 tracestate   4 parent   5 name   6 kind   7 start   8 end   9 attributes
        10 dropped attributes   11 events   12 dropped events   13 links   14 dropped links
        15 Status {2: message, 3: code}   16 flags
Event   1 time   2 name   3 attributes   4 dropped attributes
Link    1 trace   2 id   4 attributes   5 dropped attributes   6 flags

A field that is zero or empty is left out, a status is always there. A time and the flags have a
fixed width.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from ..deferred_spans import UNSET, DeferredSpan
from .scopes import of_resource, of_scope
from .wire import attributes, field, fixed64, tagged, varint

__all__ = ["encode_spans"]

_KINDS = {
    SpanKind.INTERNAL: b"\x30\x01",
    SpanKind.SERVER: b"\x30\x02",
    SpanKind.CLIENT: b"\x30\x03",
    SpanKind.PRODUCER: b"\x30\x04",
    SpanKind.CONSUMER: b"\x30\x05",
}
_CODES = {StatusCode.UNSET: b"", StatusCode.OK: b"\x18\x01", StatusCode.ERROR: b"\x18\x02"}
_UNSET = tagged(15, b"")
# Flags: whether the parent, or what a link leads to, is in another process.
_HERE, _REMOTE = 0x100, 0x300
_PARENT_HERE, _PARENT_REMOTE = (b"\x85\x01" + n.to_bytes(4, "little") for n in (_HERE, _REMOTE))
_LINK_HERE, _LINK_REMOTE = (b"\x35" + n.to_bytes(4, "little") for n in (_HERE, _REMOTE))

_USUAL_END = _UNSET + _PARENT_HERE
_CLIENT, _CLIENT_KIND = SpanKind.CLIENT, _KINDS[SpanKind.CLIENT]  # an enum has a slow hash

_pack_ids = Struct("<2s16s2s8s").pack
_pack_times = Struct("<cQcQ").pack
_MAX_KEPT = 1024

Recorded = DeferredSpan | ReadableSpan


def encode_spans(spans: Iterable[Recorded]) -> bytes:
    """Return the body of a request."""
    groups: dict[int, tuple[Recorded, list[bytes]]] = {}
    latest, fields = None, list[bytes]()
    for span in spans:
        if span.__class__ is DeferredSpan:
            made, tracer = _of_deferred(span), span.tracer  # which has one resource and scope
            if tracer is not latest:
                latest, fields = tracer, groups.setdefault(id(tracer), (span, []))[1]
        else:
            made, latest, fields = _of_sdk(span), None, []
            groups[id(span)] = span, fields
        fields.append(b"\x12")
        fields.append(varint(len(made)))
        fields.append(made)
    resources: dict[int, Any] = {}
    by_resource: dict[int, dict[InstrumentationScope | None, list[bytes]]] = {}
    for span, fields in groups.values():
        resource = span.resource
        resources[id(resource)] = resource
        scopes = by_resource.setdefault(id(resource), {})
        scopes.setdefault(span.instrumentation_scope, []).extend(fields)
    return b"".join(
        [
            of_resource(resources[key], [of_scope(*each) for each in scopes.items()])
            for key, scopes in by_resource.items()
        ]
    )


def _of_deferred(span: DeferredSpan) -> bytes:
    """Return a span of ours: nothing of it was dropped, and it has ended."""
    ids, parent, kind, end = span.ids, span.parent, span.kind, _USUAL_END
    begin = _pack_ids(b"\x0a\x10", ids, b"\x12\x08", ids[16:])
    if span.trace_state is not None:
        begin += field(3, _state(span.trace_state))
    if parent is not None:
        begin += b"\x22\x08" + parent.span_id.to_bytes(8, "big")
    if parent is not None or span.status is not UNSET or span.events or span.links:
        end = _rare_end(span)
    name = _names.get(span.name)
    initial, known = span.initial_attributes, span.known_attributes
    first, second = _known.get(id(initial)), _known.get(id(known))
    return b"".join(
        (
            begin,
            _named(span.name) if name is None else name,
            _CLIENT_KIND if kind is _CLIENT else _KINDS[kind],
            _pack_times(b"\x39", span.start_time, b"\x41", span.end_time),
            _kept(initial) if first is None or first[0] is not initial else first[1],
            _kept(known) if second is None or second[0] is not known else second[1],
            attributes(9, span.added_attributes),
            end,
        )
    )


def _rare_end(span: DeferredSpan) -> bytes:
    parent = span.parent
    events = b"".join([tagged(11, _event(each)) for each in span.events])
    links = b"".join([tagged(13, _link(each)) for each in span.links])
    flags = _PARENT_REMOTE if parent is not None and parent.is_remote else _PARENT_HERE
    return events + links + _status(span.status) + flags


# Names of spans are few, but an application may make its own.
_names: dict[str, bytes] = {}


def _named(name: str) -> bytes:
    made = field(5, name)
    if len(_names) < _MAX_KEPT:
        _names[name] = made
    return made


# What spans of one kind start with is one object, and so is most of what they end with.
_known: dict[int, tuple[Any, bytes]] = {}


def _kept(known_attributes: Any) -> bytes:
    made = attributes(9, known_attributes)
    if len(_known) >= _MAX_KEPT:
        _known.clear()
    _known[id(known_attributes)] = known_attributes, made
    return made


def _of_sdk(span: ReadableSpan) -> bytes:
    context: Any = span.context
    parent = span.parent
    return b"".join(
        [
            _ids(1, 2, context),
            field(3, _state(context.trace_state)),
            b"" if parent is None else tagged(4, parent.span_id.to_bytes(8, "big")),
            field(5, span.name),
            _KINDS[span.kind],
            fixed64(7, span.start_time),
            fixed64(8, span.end_time),
            attributes(9, span.attributes),
            _count(10, span.dropped_attributes),
            b"".join([tagged(11, _event(each)) for each in span.events]),
            _count(12, span.dropped_events),
            b"".join([tagged(13, _link(each)) for each in span.links]),
            _count(14, span.dropped_links),
            _status(span.status),
            _PARENT_REMOTE if parent is not None and parent.is_remote else _PARENT_HERE,
        ]
    )


def _event(event: Event) -> bytes:
    fields = attributes(3, event.attributes)
    dropped = _count(4, event.dropped_attributes)
    return fixed64(1, event.timestamp) + field(2, event.name) + fields + dropped


def _link(link: Link) -> bytes:
    fields = attributes(4, link.attributes)
    dropped = _count(5, link.dropped_attributes)
    flags = _LINK_REMOTE if link.context.is_remote else _LINK_HERE
    return _ids(1, 2, link.context) + fields + dropped + flags


def _status(status: Status) -> bytes:
    if status.status_code is StatusCode.UNSET:
        return _UNSET
    return tagged(15, field(2, status.description) + _CODES[status.status_code])


def _ids(trace: int, span: int, context: SpanContext) -> bytes:
    whole = tagged(trace, context.trace_id.to_bytes(16, "big"))
    return whole + tagged(span, context.span_id.to_bytes(8, "big"))


def _state(state: TraceState | None) -> str:
    return ",".join([f"{key}={value}" for key, value in state.items()]) if state else ""


def _count(number: int, count: int) -> bytes:
    return varint(number << 3) + varint(count) if count else b""
