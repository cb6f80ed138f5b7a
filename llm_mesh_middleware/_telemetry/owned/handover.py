"""Passes ended spans to the processors of a provider.

    all processors are batches   where we own the exporters, each queues the span; our exporter of
                                 the batch encodes it
    other processors             all processors get the span immediately
    one that handles starts      the tracer of the SDK makes the spans

Processors may be added at any time.
"""

from __future__ import annotations

import os
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
    """The processors of a provider, its `group`; they are looked at when others are `seen` there.

    `is_open`: none of those seen handles the start of a span.
    """

    def __init__(
        self,
        provider: SDKTracerProvider,
        wrapped: Callable[[SpanExporter], DeferredSpanExporter] | None,
    ) -> None:
        """`wrapped` returns what exports deferred spans by an exporter of the SDK.

        It is None if the exporters belong to the application.
        """
        self.group: Any = provider._active_span_processor
        self._wrapped = wrapped
        self.seen: object = None
        self.is_open = False
        self._queues: Sequence[Callable[[Any], None]] | None = None
        self.look()

    def take(self, span: DeferredSpan) -> None:
        """Queue the span, or pass it to the processors."""
        if self.group._span_processors is not self.seen:  # one was added since its start
            self.look()
        queues = self._queues
        if queues is None:
            self.group.on_end(span)
        elif span.flags & _SAMPLED:
            for queue in queues:
                queue(span)

    def look(self) -> None:
        """Look at the processors that there are now."""
        present = self.group._span_processors
        self.is_open = all(map(_ignores_starts, present))
        queues = [self._queue(each) for each in present]
        found = [queue for queue in queues if queue is not None]
        self._queues = found if len(found) == len(queues) else None
        self.seen = present

    def _queue(self, processor: SpanProcessor) -> Callable[[Any], None] | None:
        """Return what queues spans of a batch processor, None for any other processor."""
        if self._wrapped is None or type(processor) is not BatchSpanProcessor:
            return None
        try:
            batches: Any = processor._batch_processor
            queue = _queue_of(batches)
            if not isinstance(batches._exporter, DeferredSpanExporter):
                batches._exporter = self._wrapped(batches._exporter)
        except AttributeError:  # another release of the SDK
            return None
        return queue


def _queue_of(batches: Any) -> Callable[[Any], None]:
    """Return what queues a span of a batch, and wakes the thread that exports a full one.

    The SDK asks the system for the process each time; after a fork, Python has told it already.
    """
    emit: Callable[[Any], None] = batches.emit
    if not (hasattr(os, "register_at_fork") and hasattr(batches, "_shutdown")):
        return emit
    queue = batches._queue
    most = min(batches._max_export_batch_size, batches._max_queue_size) - 1
    append = queue.appendleft

    def put(span: Any) -> None:
        if len(queue) < most and not batches._shutdown:
            append(span)
        else:
            emit(span)

    return put


def _ignores_starts(processor: SpanProcessor) -> bool:
    """Return whether a processor does nothing until a span has ended."""
    found = [getattr(type(processor), name, None) for name in _BEFORE_THE_END]
    return all(method in idle for method, idle in zip(found, _IDLE, strict=True))
