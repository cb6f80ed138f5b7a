"""The benchmark of telemetry runs; its figures depend on the machine, so none is asserted."""

from __future__ import annotations

from llm_mesh_middleware.testing import FakeUpstream
from tests.benchmarks.telemetry_alone import Tape
from tests.benchmarks.telemetry_cost import ALONE, CASES, measure_telemetry
from tests.benchmarks.telemetry_scale import REFERENCE_US
from tests.telemetry.recording import Recorder, calling, chat, make_mesh


def test_every_case_has_its_figures() -> None:
    cost = measure_telemetry(rounds=2, calls=2)
    assert set(cost.unary) == set(cost.added) == set(cost.chunk) == set(CASES)
    assert set(cost.alone) == set(ALONE)
    assert set(cost.scale) == set(REFERENCE_US)
    assert min(*cost.unary.values(), *cost.alone.values(), *cost.scale.values()) > 0
    assert cost.factor > 0
    assert cost.export > 0
    assert cost.added["nothing"] == 0


async def test_telemetry_alone_does_all_that_it_does_in_a_call() -> None:
    recorder, tape = Recorder(), Tape()
    with FakeUpstream(tls=False) as upstream:
        mesh = make_mesh(recorder, upstream, observer=tape)
        async with calling(mesh) as client:
            await chat(client)
    in_call = _told(recorder)
    recorder.exporter.clear()
    tape.player(make_mesh(recorder, upstream))()
    assert _told(recorder) == in_call


def _told(recorder: Recorder) -> list[tuple[str, set[str]]]:
    return [(span.name, set(span.attributes or ())) for span in recorder.spans]
