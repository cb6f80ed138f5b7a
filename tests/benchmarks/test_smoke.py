"""The benchmark itself still works; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = ("pass-16", "unary-16-nothink", "sse-50")
# One of each kind of server, app and telemetry; the others differ in a setting.
CONTENDERS = {
    "bare",
    "bare+middleware",
    "aiohttp-relay",
    "mesh",
    "mesh-everything",
    "wsgi-relay",
    "mesh-wsgi",
}


@pytest.mark.slow
def test_each_kind_of_contender_serves_each_kind_of_load_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    only = [part for name in SCENARIOS for part in ("--only", name)]
    only += [part for name in sorted(CONTENDERS) for part in ("--contender", name)]
    options = ("--quick", "--requests", "1", "--json", str(path))

    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *only, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(path.read_text(encoding="utf-8"))["scenarios"]
    assert [one["scenario"]["name"] for one in found] == list(SCENARIOS)
    figures = [(name, own) for one in found for name, own in one["contenders"].items()]
    assert {name for name, _ in figures} == CONTENDERS
    assert [own["errors"] for _, own in figures] == [0] * len(figures)
    assert all(own["requests"] >= 16 for _, own in figures)


@pytest.mark.slow
def test_two_checkouts_are_compared_call_by_call() -> None:
    options = ("--rounds", "1", "--share", "0.01", "--only", "unary")

    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.against", str(ROOT), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    _, cost, errors = run.stdout.splitlines()
    assert cost.startswith("unary ")
    assert errors == "0 errors"


@pytest.mark.slow
def test_the_cost_of_each_policy_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks.policies", "--quick", "--json", str(path)]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert run.returncode == 0, run.stdout + run.stderr
    budgets = json.loads(path.read_text(encoding="utf-8"))["budgets"]
    assert len(budgets) >= 7
    assert budgets[0]["value"] == 0  # a policy of another rule
