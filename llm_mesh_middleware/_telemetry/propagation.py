"""Trace context from the client to the mesh and on to the provider (W3C Trace Context).

Baggage is not handed to third parties; `LLM_MESH_FORWARD_HEADERS=baggage` passes the client's own.
"""

from __future__ import annotations

from functools import lru_cache

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import Link

from .._core.headers import Headers

__all__ = ["incoming_context", "linked_spans", "with_trace"]

_BAGGAGE = "baggage"


class _HeaderGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        values = [value.decode("latin-1") for value in carrier.get_all(key.lower().encode())]
        return values or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_getter = _HeaderGetter()


def incoming_context(headers: Headers) -> tuple[Context, bool]:
    """The context that the call belongs to, and whether a span of this process is active in it.

    An active span, of the application or of its instrumentation, goes before what the client sent.
    """
    current = get_current()
    if trace.get_current_span(current).get_span_context().is_valid:
        return current, True
    return propagate.extract(headers, current, _getter), False


def linked_spans(headers: Headers, context: Context) -> tuple[Link, ...]:
    """The caller's own span, where it is in another trace than the span that is active here.

    So it is when an application calls the mesh inside its process, or passes on by hand the trace
    that it got from elsewhere: the active span is the parent, and the other must not be lost.
    """
    fields = _fields(propagate.get_global_textmap())
    if fields.isdisjoint(name for name, _ in headers):
        return ()
    sent = trace.get_current_span(propagate.extract(headers, Context(), _getter)).get_span_context()
    active = trace.get_current_span(context).get_span_context()
    return (Link(sent),) if sent.is_valid and sent.trace_id != active.trace_id else ()


def with_trace(
    headers: tuple[tuple[bytes, bytes], ...], context: Context
) -> tuple[tuple[bytes, bytes], ...]:
    """`headers` with the trace context of `context` in place of any that they carry."""
    propagator = propagate.get_global_textmap()
    stale = _fields(propagator)
    injected: dict[str, str] = {}
    propagator.inject(injected, baggage.clear(context))
    kept = [field for field in headers if field[0] not in stale]
    kept += [(name.lower().encode(), value.encode("latin-1")) for name, value in injected.items()]
    return tuple(kept)


@lru_cache(maxsize=8)
def _fields(propagator: TextMapPropagator) -> frozenset[bytes]:
    """The header fields that `propagator` writes; most put them together for each who asks."""
    return frozenset(name.lower().encode() for name in propagator.fields if name != _BAGGAGE)
