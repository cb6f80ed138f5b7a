"""Several processes and a store of three nodes, as `python -m tests.scale` has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.policies.servers import server_program
from tests.scale.runs import run_limits, run_processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(server_program() is None, reason="there is no redis-server here"),
]


def test_a_limit_is_exact_for_each_user_over_processes_and_nodes(tmp_path: Path) -> None:
    limits = run_limits(2, tmp_path, limit=10)

    assert set(limits.admitted.values()) == {10}
    assert limits.refused == sum(limits.admitted.values())


@pytest.mark.parametrize(("is_limited", "most"), [(False, 0), (True, 2)])
def test_the_store_is_all_that_processes_share(tmp_path: Path, is_limited: bool, most: int) -> None:
    for figures in run_processes((1, 2), 60, tmp_path, is_limited=is_limited):
        assert sum(figures.scripts) <= most * figures.calls
        assert (min(figures.scripts) > 0) is is_limited  # each node has some of the users
