"""Ids of spans are drawn many at once, and none is used twice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llm_mesh_middleware._telemetry.owned.ids import Ids


def test_no_id_comes_twice() -> None:
    ids = Ids()

    found = [ids.new() for _ in range(1000)]

    assert {len(each) for each in found} == {24}
    assert len({each[:16] for each in found}) == len({each[16:] for each in found}) == 1000


FORKING = """
import os
from llm_mesh_middleware._telemetry.owned.ids import Ids

ids = Ids()
ids.new()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, b"".join(ids.new() for _ in range(100)))
    os._exit(0)
os.wait()
of_child = os.read(reading, 2400)
own = {ids.new() for _ in range(100)}
assert len(of_child) == 2400 and own.isdisjoint(of_child[at:at + 24] for at in range(0, 2400, 24))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_ids_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], timeout=20, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
