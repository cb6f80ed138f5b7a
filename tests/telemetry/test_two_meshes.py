"""Several meshes that report to one meter provider: their numbers are added up."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llm_mesh_middleware._telemetry.metrics.shared import shared_metrics
from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.telemetry.recording import CHAT, Recorder, calling, chat, make_mesh

OUT = {"outlierDetection": {"consecutiveFailures": 1}}


async def test_what_two_meshes_count_is_in_the_export_as_one_sum(
    recorder: Recorder, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (make_mesh(recorder, upstream, config={"model": "m-1"}) for _ in range(2))
    async with calling(first) as one, calling(second) as other:
        for client in (one, other, other):
            await chat(client)
    for _ in range(2):  # also when it is collected again
        assert recorder.total("asm_llm_proxy_prompt_tokens") == 6
        assert recorder.total("gen_ai.client.inference.usage.output_tokens") == 12
        assert recorder.total("llm_mesh.attempts") == 3
    (duration,) = recorder.points("gen_ai.client.operation.duration")
    assert duration.count == 3
    assert caplog.records == []


async def test_two_workloads_are_told_apart(recorder: Recorder, upstream: FakeUpstream) -> None:
    for app in ("web", "jobs"):
        mesh = make_mesh(recorder, upstream, settings={"labels": f"app={app}"})
        async with calling(mesh) as client:
            await chat(client)
    points = recorder.points("asm_llm_proxy_prompt_tokens")
    assert {point.attributes["llmproxy_source_workload"] for point in points} == {"web", "jobs"}


async def test_a_provider_is_ejected_if_one_of_the_meshes_has_ejected_it(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(Answer(503, [], error_body("down")))
    one = make_mesh(recorder, upstream, spec=OUT)
    two = make_mesh(recorder, second, spec=OUT)
    three = make_mesh(recorder, second, hosts=("c.example",), spec=OUT)
    for mesh in (two, one, three):
        async with calling(mesh) as client:
            await chat(client)
            await chat(client, {**CHAT, "user": "another"})
    assert ejected(recorder) == {"a.example": 1, "c.example": 0}


async def test_a_mesh_that_is_gone_is_no_longer_asked_and_its_counts_stay(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    meshes = [
        make_mesh(recorder, up, hosts=(f"{n}.example",)) for n, up in enumerate((upstream, second))
    ]
    for mesh in meshes:
        async with calling(mesh) as client:
            await chat(client)
    assert ejected(recorder) == {"0.example": 0, "1.example": 0}
    gone = weakref.ref(meshes.pop(0))
    del mesh, client
    gc.collect()
    assert gone() is None
    assert ejected(recorder) == {"1.example": 0}
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == 4


def test_instruments_go_with_their_provider() -> None:
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    instruments = weakref.ref(shared_metrics("1", provider))
    assert instruments() is shared_metrics("1", provider)
    del provider
    gc.collect()
    assert instruments() is None


LATE = """
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from llm_mesh_middleware._telemetry.metrics.shared import shared_metrics

    before = shared_metrics("1", None)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    after, named = shared_metrics("1", None), shared_metrics("1", provider)
    for number, each in enumerate((before, after, named)):
        each.active.begin(number)
    print(reader.get_metrics_data().to_json())
"""


@pytest.mark.slow
def test_a_mesh_made_before_the_sdk_counts_with_one_made_after_it() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LATE)], capture_output=True, text=True, check=True
    )
    assert '"value": 3' in run.stdout
    assert run.stderr == ""


def ejected(recorder: Recorder) -> dict[str, int]:
    points = recorder.points("llm_mesh.providers.ejected")
    return {point.attributes["server.address"]: point.value for point in points}
