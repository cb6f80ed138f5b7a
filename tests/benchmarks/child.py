"""What the child processes have in common: their core, their files, their line to the parent.

A child answers each line on its standard input with one line of JSON and ends with its input, so no
run leaves a process behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "allow_many_files",
    "answer_parent",
    "cpu_seconds",
    "keep_line",
    "memory_mb",
    "pin",
    "probe_ms",
    "report",
]

# Load and upstream share the first core, the server under test has the last for itself.
_PLACES = {"load": 0, "server": -1}

_line = 1  # the file descriptor of the line to the parent


def pin(place: str) -> None:
    """Keep this process to the core of `place`, where the system allows that."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {cores[_PLACES[place]]})


def allow_many_files() -> None:
    """A thousand requests in flight are two thousand sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cpu_seconds(pid: int | None = None) -> float:
    """User and system time of this process, all threads; finer than the ticks of /proc.

    That of another process, which Linux tells: of the threads that it has now, in nanoseconds.
    """
    if pid is None:
        return time.process_time()
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended
            spent += int((task / "schedstat").read_text("ascii").split()[0])
    return spent / 1e9


def memory_mb(pid: int | None = None) -> float:
    """Resident memory of this process or another; at its highest where the system tells no more."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text("ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


def probe_ms() -> float:
    """CPU time of a fixed amount of Python on this core, to compare runs with one another."""
    took = []
    for _ in range(5):
        begun = time.thread_time()
        table: dict[int, bytes] = {}
        for number in range(20_000):
            table[number % 512] = b"%d" % number
        took.append(time.thread_time() - begun)
    return round(min(took) * 1e3, 3)


def keep_line() -> None:
    """Keep the line to the parent out of reach: some contenders print, others replace stdout."""
    global _line
    _line = os.dup(1)
    os.dup2(2, 1)


def report(**facts: object) -> None:
    """One line for the parent."""
    os.write(_line, json.dumps(facts).encode() + b"\n")


def answer_parent(answer: Callable[[str], dict[str, object]], at_end: Callable[[], object]) -> None:
    """Answer the parent's lines from a thread of their own, which sleeps between them."""

    def listen() -> None:
        for line in sys.stdin:
            report(**answer(line.strip()))
        at_end()

    threading.Thread(target=listen, name="parent", daemon=True).start()
