"""Spinners: processes that keep the clock of every core up, and take no time from others.

A core that is idle between two requests lowers its clock, and so what a call costs. Linux runs
`SCHED_IDLE` only where nothing else wants the core.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["spinning"]

_SPIN = """
import os, sys
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def spinning() -> Iterator[None]:
    """Keep all cores of this process busy while inside.

    Raises:
        OSError: the system has no `SCHED_IDLE`.
    """
    if not hasattr(os, "SCHED_IDLE"):
        raise OSError("spinners need Linux, which has SCHED_IDLE")
    # Each looks for its parent: it ends by itself if this process is killed.
    spinners = [
        subprocess.Popen([sys.executable, "-c", _SPIN, str(core)])
        for core in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
