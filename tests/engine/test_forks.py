"""A fork while other threads hold locks: a child has them as they were, and nobody to free them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.conftest import slow
from tests.processes import ROOT, clean_environment

PROGRAM = Path(__file__).with_name("forking.py")
WAYS = ("asgi", "wsgi", "httpx", "other host", "django", "reload")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("moment", ["after use", *slow("before use")])
def test_a_child_of_a_process_that_holds_every_lock_serves(tmp_path: Path, moment: str) -> None:
    with FakeUpstream(tls=False) as upstream:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), upstream.url, str(tmp_path), moment],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    held, child, parent = map(json.loads, done.stdout.splitlines())
    assert held["locks"] >= 5
    assert child == parent == dict.fromkeys(WAYS, 200)
