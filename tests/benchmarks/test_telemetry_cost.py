"""The benchmark of telemetry runs; its figures depend on the machine, so none is asserted."""

from __future__ import annotations

from tests.benchmarks.telemetry_cost import CASES, measure_telemetry


def test_every_case_has_its_figures() -> None:
    measured = measure_telemetry(rounds=1, calls=2)
    assert set(measured) == {"yardstick", *CASES}
    for case in CASES:
        assert set(measured[case]) == {"unary", "chunk"}
        assert measured[case]["unary"] > 0
