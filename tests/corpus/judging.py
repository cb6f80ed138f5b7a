"""Running a corpus: each quirk with a sample of the others or, if asked for, with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from tests.corpus.bench import Bench, expected_points
from tests.corpus.responses import Case, Quirk

_SAMPLE = 307


def each(quirks: Mapping[str, Quirk]) -> Callable[[Any], Any]:
    """Parametrize a test by a quirk and by how many cases there are for one that is taken."""
    params: list[Any] = [(name, _SAMPLE) for name in quirks]
    params += [pytest.param(name, 1, marks=pytest.mark.slow) for name in quirks]
    return pytest.mark.parametrize(("quirk", "every"), params)


def judge_all(cases: Iterable[Case], judge: Callable[[Case], None]) -> None:
    """Judge every case, and fail with all that have failed."""
    failed = []
    for case in cases:
        try:
            judge(case)
        except Exception as exc:
            failed.append(f"{case.name}: {type(exc).__name__}: {str(exc)[:1500]}")
    # Half a surrogate pair in a message would keep the report from being sent.
    assert not failed, "\n".join(failed).encode("ascii", "backslashreplace").decode()


def check_record(bench: Bench, case: Case) -> None:
    """Assert that the call ended well, and that its tokens were counted once."""
    (status, error, usage), points = bench.recorded()
    counts = case.response.means.counts
    seen = (status, error, usage, points)
    assert seen == (200, None, counts, expected_points(counts)), f"recorded {seen}, not {counts}"
