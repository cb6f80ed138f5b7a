"""The soak commands in two seconds: they measure, they judge, they draw."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.soak.__main__ import main
from tests.soak.calls import CALLS
from tests.soak.crowds import main as crowds
from tests.soak.samples import Sample, is_flat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["serve", "uvicorn", "gunicorn"])
def test_a_short_run_has_no_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    picture = tmp_path / "soak.svg"
    options = ["--calls", "150", "--callers", "3", "--reload", "0.3", "--svg", str(picture)]
    main([*options, "--target", target])  # so short a run says nothing about memory

    *table, title, memory, idle = capsys.readouterr().out.splitlines()
    assert title.endswith(": 0 errors")
    assert int(table[-2].split()[1].replace(",", "")) >= 150
    assert "of its median" in memory
    assert "file descriptors" in idle
    # A loop that runs has one task at least; gunicorn's worker has no loop.
    assert idle.endswith(" 0 tasks") is (target == "gunicorn")
    assert picture.read_text("utf-8").count("<polyline") == 6


@pytest.mark.slow
@pytest.mark.parametrize("target", ["serve", "uvicorn"])
def test_a_small_crowd_has_no_errors(capsys: pytest.CaptureFixture[str], target: str) -> None:
    crowds(["--streams", "20", "--callers", "20", "--waves", "2", "--target", target])

    lines = capsys.readouterr().out.splitlines()
    for wave in ("streams 2, open", "streams 2, over", "callers 2, waiting", "callers 2, back"):
        assert any(line.lstrip().startswith(wave) for line in lines)
    assert {line for line in lines if " x " in line or line.startswith("not within")} == set()


@pytest.mark.parametrize(("figures", "flat"), [((100, 102, 98), True), ((100, 101, 107), False)])
def test_memory_is_flat_within_five_per_cent(figures: tuple[float, ...], flat: bool) -> None:
    samples = [Sample(i, i, 1.0, rss, 1, 1, 1, 0) for i, rss in enumerate(figures)]
    assert is_flat(samples)[0] is flat


def test_all_calls_together_are_a_hundred() -> None:
    assert sum(call.share for call in CALLS.values()) == 100
