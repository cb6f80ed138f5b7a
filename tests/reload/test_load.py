"""Reloads under load: nothing fails, no stream is cut, no two versions mix, nothing piles up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reload.load import reload_under_load

RELOADS = 120


@pytest.mark.slow
def test_reloads_under_load_are_not_noticed_by_anybody(file: Path) -> None:
    figures = reload_under_load(file, RELOADS, pause_s=0.005)
    assert figures.reloads == RELOADS
    assert figures.failed == []
    assert figures.mixed == []
    assert figures.requests > RELOADS
    assert figures.streams > RELOADS / 10
    if figures.descriptors:
        assert max(figures.descriptors[2:]) <= max(figures.descriptors[:2]) + 5
