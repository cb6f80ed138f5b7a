"""How fast OpenTelemetry's SDK is on this machine at this moment, beside a machine that is known.

A budget in microseconds means little by itself: `REFERENCE_US` are the operations of the SDK as
they were measured where the budget was written, in loops of nothing else. The same loops are run
here in turns with what is judged, so the two can be set against each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

from opentelemetry.metrics import MeterProvider
from opentelemetry.propagate import inject
from opentelemetry.trace import SpanKind, TracerProvider, set_span_in_context

__all__ = ["BASKET", "REFERENCE_US", "Scale"]

REFERENCE_US: Mapping[str, float] = {
    "span": 23.0,
    "current span": 40.0,
    "twenty attributes": 53.0,
    "record": 12.0,  # of 9 to 15
    "inject": 4.0,
}
BASKET: Mapping[str, int] = {"span": 2, "record": 6, "inject": 1}
"""What a unary call is made of; only these say how fast this machine is at one."""

_REPEATED = 20


class Scale:
    """Times the operations, a few of each at a time."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._operations = _operations(tracers, meters)
        self._found: dict[str, list[float]] = {name: [] for name in REFERENCE_US}

    def measure(self) -> None:
        """Take one more measurement of each operation."""
        for name, operation in self._operations.items():
            begun_at = time.thread_time()
            for _ in range(_REPEATED):
                operation()
            self._found[name].append((time.thread_time() - begun_at) * 1e6 / _REPEATED)

    @property
    def figures(self) -> dict[str, float]:
        """Microseconds of each operation: the median."""
        return {name: median(found) for name, found in self._found.items()}

    @property
    def factor(self) -> float:
        """How many times as long as on the known machine the operations of a call take."""
        rounds = zip(*(self._found[name] for name in BASKET), strict=True)
        here = median(
            sum(us * count for us, count in zip(found, BASKET.values(), strict=True))
            for found in rounds
        )
        return here / sum(REFERENCE_US[name] * count for name, count in BASKET.items())


def _operations(tracers: TracerProvider, meters: MeterProvider) -> dict[str, Callable[[], None]]:
    tracer = tracers.get_tracer("scale")
    histogram = meters.get_meter("scale").create_histogram("scale")
    attributes = {f"attribute.{n}": "value" for n in range(12)}
    labels = {f"label.{n}": "value" for n in range(7)}
    names = [f"name.{n}" for n in range(20)]
    active = tracer.start_span("active")
    context = set_span_in_context(active)

    def span() -> None:
        tracer.start_span("s", kind=SpanKind.CLIENT, attributes=attributes).end()

    def current_span() -> None:
        with tracer.start_as_current_span("s", kind=SpanKind.CLIENT, attributes=attributes):
            pass

    def twenty_attributes() -> None:
        for name in names:
            active.set_attribute(name, "value")

    return {
        "span": span,
        "current span": current_span,
        "twenty attributes": twenty_attributes,
        "record": lambda: histogram.record(1.0, labels, context),
        "inject": lambda: inject({}, context),
    }
