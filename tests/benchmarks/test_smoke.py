"""The benchmark itself still works; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).parents[2]
SCENARIOS = ("pass-16", "unary-16-nothink", "sse-50")


def test_every_contender_serves_each_kind_of_load_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    only = [part for name in SCENARIOS for part in ("--only", name)]
    options = ("--quick", "--requests", "1", "--json", str(path))

    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *only, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(path.read_text(encoding="utf-8"))["scenarios"]
    assert [one["scenario"]["name"] for one in found] == list(SCENARIOS)
    figures = [(name, own) for one in found for name, own in one["contenders"].items()]
    ours = {name for name, contender in CONTENDERS.items() if not contender.is_foreign}
    assert {name for name, _ in figures} == ours
    assert [own["errors"] for _, own in figures] == [0] * len(figures)
    assert all(own["requests"] >= 16 for _, own in figures)
