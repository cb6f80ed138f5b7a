"""Hooks that make no test of what a run leaves out: thousands of items take seconds to make."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["pytest_generate_tests", "pytest_pycollect_makeitem"]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Leave out a function whose tests are all slow."""
    marks = getattr(obj, "pytestmark", None)
    if not isinstance(marks, list) or isinstance(obj, type) or _is_slow_wanted(collector.config):
        return None
    return [] if any(mark.name == "slow" for mark in marks) else None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Leave out the slow rows of a table; one that has no other is left as it is."""
    if not _is_slow_wanted(metafunc.config):
        marks = metafunc.definition.own_markers
        marks[:] = [_quick(mark) if mark.name == "parametrize" else mark for mark in marks]


def _is_slow_wanted(config: pytest.Config) -> bool:
    return "not slow" not in config.option.markexpr


def _quick(mark: pytest.Mark) -> pytest.Mark:
    names, values, *others = mark.args
    rows, ids = list(values), mark.kwargs.get("ids")
    kept = [at for at, row in enumerate(rows) if not _is_slow(row)] or range(len(rows))
    words: dict[str, Any] = dict(mark.kwargs)
    if ids is not None and not callable(ids):
        listed = list(ids)
        words["ids"] = [listed[at] for at in kept]
    quick = pytest.mark.parametrize.with_args(names, [rows[at] for at in kept], *others, **words)
    return quick.mark


def _is_slow(row: object) -> bool:
    return any(mark.name == "slow" for mark in getattr(row, "marks", ()))
