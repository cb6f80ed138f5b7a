"""The calls of the SDK that a unary exchange cannot do without, and nothing beside them.

Two spans with their attributes, six histogram records: what remains of telemetry's cost if the mesh
itself took no time to find out what to say.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import get_current
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanKind, TracerProvider, set_span_in_context

from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.messages import ClientRequest

__all__ = ["Floor"]

_SERVER = {f"server.start.{n}": "value" for n in range(7)}
_SERVER_END = {"http.route": "/chat/completions", "http.response.status_code": 200, "route": "r"}
_CLIENT = {f"client.start.{n}": "value" for n in range(10)} | {"server.port": "443"}
_CLIENT_END = {f"client.end.{n}": 1 for n in range(6)} | {f"text.{n}": "value" for n in range(4)}
_CALL = {f"label.{n}": "value" for n in range(7)}
_INPUT, _OUTPUT = _CALL | {"type": "input"}, _CALL | {"type": "output"}
_HTTP = {f"http.{n}": "value" for n in range(5)}


class Floor:
    """An observer that only ever calls the SDK, always with the same."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self.tracer = tracers.get_tracer("floor")
        meter = meters.get_meter("floor")
        names = ("operation", "server", "overhead", "tokens", "http")
        self.histograms = [meter.create_histogram(name) for name in names]

    def __call__(self, _: ClientRequest) -> Observation:
        """Begin to follow an exchange."""
        return _Call(self)


class _Call(Observation):
    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def ended(self, *_: Any) -> None:
        floor, outside = self._floor, get_current()
        server = floor.tracer.start_span("POST", outside, SpanKind.SERVER, attributes=_SERVER)
        inside = set_span_in_context(server, outside)
        client = floor.tracer.start_span("chat m", inside, SpanKind.CLIENT, attributes=_CLIENT)
        inside = set_span_in_context(client, inside)
        if client.is_recording():
            client.set_attributes(_CLIENT_END)
        client.end()
        if server.is_recording():
            server.set_attributes(_SERVER_END)
            server.update_name("POST /chat/completions")
        server.end()
        operation, generation, overhead, tokens, http = floor.histograms
        operation.record(0.1, _CALL, inside)
        generation.record(0.1, _CALL, inside)
        overhead.record(0.1, _CALL)
        tokens.record(1, _INPUT, inside)
        tokens.record(1, _OUTPUT, inside)
        http.record(0.1, _HTTP)
