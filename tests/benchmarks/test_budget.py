"""Figures held against the budgets of the design."""

from __future__ import annotations

from tests.benchmarks.report import budget_json, verdict
from tests.benchmarks.results import FULL_SPEED_MS, Budget


def test_a_time_counts_as_what_it_would_be_at_full_speed() -> None:
    budget = Budget("a call", 15, 10, "µs", probe_ms=FULL_SPEED_MS * 2)
    assert budget.is_met
    assert verdict(budget) == "ok: a call 15 (7.5 at full speed) of 10 µs"
    assert budget_json(budget)["at_full_speed"] == 7.5


def test_a_machine_faster_than_that_of_the_budget_gets_no_credit_for_it() -> None:
    assert not Budget("a call", 9, 10, "µs", probe_ms=FULL_SPEED_MS / 2).is_met


def test_a_ratio_counts_as_it_is() -> None:
    budget = Budget("CPU against the relay", 1.2, 1.1, "x")
    assert not budget.is_met
    assert verdict(budget) == "over: CPU against the relay 1.2 of 1.1 x"
