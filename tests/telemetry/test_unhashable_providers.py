"""Providers that have no hash, as those of Logfire, which wrap the SDK's in dataclasses."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.trace import Tracer, TracerProvider

from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware._telemetry.by_identity import ByIdentity
from llm_mesh_middleware.testing import FakeUpstream
from tests.telemetry.recording import Recorder, calling, route


@dataclass
class Meters(MeterProvider):
    provider: MeterProvider

    def get_meter(self, *args: Any, **named: Any) -> Meter:
        return self.provider.get_meter(*args, **named)


@dataclass
class Tracers(TracerProvider):
    provider: TracerProvider

    def get_tracer(self, *args: Any, **named: Any) -> Tracer:
        return self.provider.get_tracer(*args, **named)


async def test_a_call_is_recorded_by_providers_without_a_hash(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    spec = {"host": "a.example", "endpoint": upstream.url}
    provider = LLMProvider.model_validate({"metadata": {"name": "a"}, "spec": spec})
    mesh = Mesh(
        [provider, route("a.example")],
        settings=MeshSettings(),
        tracer_provider=Tracers(recorder.tracers),
        meter_provider=Meters(recorder.meters),
    )
    async with calling(mesh) as client:
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert (await client.post("/v1/chat/completions", json=asked)).status_code == 200
    assert recorder.call.attributes["gen_ai.operation.name"] == "chat"
    assert recorder.points("gen_ai.client.operation.duration")


def test_a_value_is_kept_as_long_as_its_key() -> None:
    values: ByIdentity[str] = ByIdentity()
    one, equal = Meters(MeterProvider), Meters(MeterProvider)  # type: ignore[arg-type]
    values.set(one, "one")
    assert (values.get(one), values.get(equal)) == ("one", None)
    number = id(one)
    del one
    gc.collect()
    assert number not in values._values
