"""The soak script in two seconds: it measures, it judges, it draws."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.soak.__main__ import main
from tests.soak.samples import Sample, is_flat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.mark.slow
@pytest.mark.parametrize("target", [[], ["--wsgi"]], ids=["serve", "gunicorn"])
def test_a_short_run_has_no_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: list[str]
) -> None:
    picture = tmp_path / "soak.svg"
    options = ["--minutes", "0.02", "--callers", "3", "--reload", "0.3", "--svg", str(picture)]
    main([*options, *target])  # so short a run says nothing about memory

    *table, title, memory, idle = capsys.readouterr().out.splitlines()
    assert title.endswith(": 0 errors")
    assert int(table[-2].split()[1].replace(",", "")) >= 3  # each caller has had an answer
    assert "of its median" in memory
    assert "file descriptors" in idle
    assert idle.endswith(" 0 tasks") is bool(target)  # a loop that runs has one at least
    assert picture.read_text("utf-8").count("<polyline") == 6


@pytest.mark.parametrize(("figures", "flat"), [((100, 102, 98), True), ((100, 101, 107), False)])
def test_memory_is_flat_within_five_per_cent(figures: tuple[float, ...], flat: bool) -> None:
    samples = [Sample(i, i, 1.0, rss, 1, 1, 1, 0) for i, rss in enumerate(figures)]
    assert is_flat(samples)[0] is flat
