"""No call leaves anything to the garbage collector, which seldom looks at what has been there long.

A stream that was open for a minute would otherwise stay in memory for hours after its end.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.processes import Program
from tests.soak.calls import CALLS
from tests.soak.inside import collect
from tests.soak.load import Load
from tests.soak.manifest import write_manifest
from tests.soak.targets import TARGETS

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_EACH = 5


@pytest.mark.slow
@pytest.mark.parametrize("target", ["serve", "uvicorn"])
def test_no_kind_of_call_leaves_a_cycle(tmp_path: Path, target: str) -> None:
    config = tmp_path / "mesh.yaml"
    with Program([sys.executable, "-m", "tests.soak.upstream"]) as upstream:
        write_manifest(config, upstream.wait_line(_RUNNING)[1], 0)
        program, port = TARGETS[target].start(config)
        with program:
            load = Load(port, 1)

            async def all_kinds() -> None:
                for name in CALLS:
                    await asyncio.gather(*(load.make(name) for _ in range(_EACH)))

            asyncio.run(all_kinds())
            collect(config)  # what the start and first calls leave
            asyncio.run(all_kinds())
            assert collect(config) == {}
    assert not load.errors
