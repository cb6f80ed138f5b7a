"""Passes ended spans to the processors of a provider.

    all processors are batches   where we own the exporters, each queues the span; our exporter of
                                 the batch encodes it
    other processors             all processors get the span immediately
    one that handles starts      the tracer of the SDK makes the spans

Processors may be added at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SDKTracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from .deferred_spans import DeferredSpan

__all__ = ["DeferredSpanExporter", "ProcessorHandover"]

# The second is called before the end, with a span that may still be changed; releases of the SDK
# may lack it.
_BEFORE_THE_END = ("on_start", "_on_ending")
_IDLE = tuple(
    frozenset(
        getattr(kind, name, None)
        for kind in (SpanProcessor, BatchSpanProcessor, SimpleSpanProcessor)
    )
    for name in _BEFORE_THE_END
)
_SAMPLED = 1


class DeferredSpanExporter(SpanExporter):
    """Exports a batch of deferred spans by the exporter of a processor."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Export each span as one of the SDK."""
        return self.exporter.export(spans)

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self.exporter.force_flush(timeout_millis)


class ProcessorHandover:
    """The processors of a provider."""

    def __init__(
        self,
        provider: SDKTracerProvider,
        wrapped: Callable[[SpanExporter], DeferredSpanExporter] | None,
    ) -> None:
        """`wrapped` returns what exports deferred spans by an exporter of the SDK.

        It is None if the exporters belong to the application.
        """
        self._all: Any = provider._active_span_processor
        self._wrapped = wrapped
        self._seen: object = None
        self._is_open = False
        self._queues: Sequence[Callable[[Any], None]] | None = None

    def is_open(self) -> bool:
        """Return whether no processor handles the start of a span."""
        present = self._all._span_processors
        if present is not self._seen:
            self._look_at(present)
        return self._is_open

    def take(self, span: DeferredSpan) -> None:
        """Queue the span, or pass it to the processors."""
        present = self._all._span_processors
        if present is not self._seen:  # a processor was added since its start
            self._look_at(present)
        queues = self._queues
        if queues is None:
            self._all.on_end(span)
        elif span.flags & _SAMPLED:
            for queue in queues:
                queue(span)

    def _look_at(self, present: Any) -> None:
        self._is_open = all(map(_ignores_starts, present))
        queues = [self._queue(each) for each in present]
        found = [queue for queue in queues if queue is not None]
        self._queues = found if len(found) == len(queues) else None
        self._seen = present

    def _queue(self, processor: SpanProcessor) -> Callable[[Any], None] | None:
        """Return what queues spans of a batch processor, None for any other processor."""
        if self._wrapped is None or type(processor) is not BatchSpanProcessor:
            return None
        try:
            batches: Any = processor._batch_processor
            queue: Callable[[Any], None] = batches.emit
            if not isinstance(batches._exporter, DeferredSpanExporter):
                batches._exporter = self._wrapped(batches._exporter)
        except AttributeError:  # another release of the SDK
            return None
        return queue


def _ignores_starts(processor: SpanProcessor) -> bool:
    """Return whether a processor does nothing until a span has ended."""
    found = [getattr(type(processor), name, None) for name in _BEFORE_THE_END]
    return all(method in idle for method, idle in zip(found, _IDLE, strict=True))
