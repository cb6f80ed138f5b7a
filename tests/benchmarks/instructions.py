"""python -m tests.benchmarks.instructions: thousands of instructions of each path of a call.

The paths of `paths` and `in_memory`, counted by valgrind: the same figure on a busy machine as on a
quiet one, within a few parts in a thousand. Builds of Python differ by more than that, so figures
are told as they would be where the bounds were written: a piece of plain Python, which takes
`YARDSTICK` there, is counted too. `--profile DIR` keeps what `callgrind_annotate` reads, one file a
path.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.benchmarks.callgrind import counted, why_not
from tests.processes import ROOT

__all__ = ["EVENT", "FIGURES", "YARDSTICK", "measure_instructions"]

YARDSTICK = 159.3
"""Thousands of instructions of the piece of plain Python, by CPython 3.11.7 built by gcc 12."""

_TRIGGER = re.compile(r"^desc: Trigger: Client Request: (.+)$", re.MULTILINE)
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)
_EVENTS = 100
_PLAIN = "plain Python"
_ADAPTING = 3
_TURNS = 2
_DEADLINE_S = 900


FIGURES: Mapping[str, str] = {
    "unary, no SDK": "unary",
    "SDK of ours": "ours",
    "SDK of the application": "application",
    "access line": "line",
    "translation": "translation",
    "limit in memory": "limit",
    "limit of tokens in memory": "tokens",
    "call that a view watches": "watched",
    "cache hit": "cache",
    "serve": "serve",
    "outbound": "outbound",
    "WSGI": "wsgi",
}
"""The path of each figure, a whole call; there is also `EVENT`, for one more event of a stream."""

EVENT = "event of a stream"


def measure_instructions(profile: Path | None = None) -> dict[str, float]:
    """Return thousands of instructions by figure."""
    with tempfile.TemporaryDirectory() as made:
        folder = profile or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet"),
                f"--callgrind-out-file={folder / 'counted'}",
                *(sys.executable, "-m", "tests.benchmarks.instructions", "--inside"),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=True,
            capture_output=True,
            timeout=_DEADLINE_S,
        )
        totals: dict[str, float] = {}
        for name, total in _totals(folder):  # now and then something else happens beside a call
            totals[name] = min(total, totals.get(name, total))
    scale = YARDSTICK / totals[_PLAIN]
    found = {name: totals[path] for name, path in FIGURES.items()}
    found[EVENT] = (totals["long stream"] - totals["short stream"]) / _EVENTS
    return {name: amount * scale for name, amount in found.items()}


def _totals(folder: Path) -> Iterator[tuple[str, float]]:
    from tests.benchmarks.in_memory import COUNTED

    for file in folder.glob("counted.*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        if (found := _TRIGGER.search(text)) and (total := _TOTALS.search(text)):
            yield found[1], int(total[1]) / COUNTED / 1000


def _inside() -> None:
    """Run every path, in a process of valgrind.

    The interpreter adapts its instructions to what they meet, so each path has been run before the
    first is counted. Each has several turns, of which the smallest figure stands.
    """
    gc.disable()
    paths = _paths()
    for _ in range(_ADAPTING):
        for path in paths.values():
            path(_unmetered)
    for name in [*paths] * _TURNS:
        gc.collect()
        paths[name](partial(_metered, name))


@contextmanager
def _unmetered() -> Iterator[list[int]]:
    yield [0]


@contextmanager
def _metered(name: str) -> Iterator[list[int]]:
    with counted(name):
        yield [0]


def _paths() -> Mapping[str, Callable[..., float]]:
    from tests.benchmarks.in_memory import Meter, calls_of_stream
    from tests.benchmarks.paths import (
        calls_of,
        calls_of_outbound,
        calls_of_serve,
        calls_of_wsgi,
        logged,
    )
    from tests.benchmarks.sdks import application, ours

    def line(meter: Meter) -> float:
        with logged():
            return calls_of(meter=meter)

    return {
        _PLAIN: _plain,
        "unary": lambda meter: calls_of(meter=meter),
        "ours": lambda meter: calls_of(sdk=ours, meter=meter),
        "application": lambda meter: calls_of(sdk=application, meter=meter),
        "line": line,
        "short stream": lambda meter: calls_of_stream(20, meter=meter),
        "long stream": lambda meter: calls_of_stream(20 + _EVENTS, meter=meter),
        "translation": lambda meter: calls_of(messages=True, meter=meter),
        "limit": lambda meter: calls_of("limit", meter=meter),
        "tokens": lambda meter: calls_of("tokens", meter=meter),
        "watched": lambda meter: calls_of(watched=True, meter=meter),
        "cache": lambda meter: calls_of("cache", meter=meter),
        "serve": calls_of_serve,
        "outbound": calls_of_outbound,
        "wsgi": calls_of_wsgi,
    }


class _Thing:
    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    @property
    def told(self) -> str:
        return f"{self.name}={self.size}"


def _plain(meter: Callable[[], AbstractContextManager[list[int]]]) -> float:
    """Do what the mesh does most: calls, attributes, dicts, tuples, short texts and bytes."""
    with meter():
        for _ in range(10):
            things = [_Thing(name, len(name)) for name in ("host", "accept", "content-type") * 10]
            found = {thing.name: thing.told for thing in things if thing.size > 4}
            fields = tuple((name.encode(), b"%d" % len(told)) for name, told in found.items())
            assert b"accept" in dict(fields)
            assert json.loads(json.dumps(found)) == found
    return 0.0


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.instructions")
    parser.add_argument("--profile", type=Path, help="keep what was counted in this folder")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        _inside()
    elif reason := why_not():
        sys.exit(f"instructions cannot be counted: {reason}")
    else:
        found = measure_instructions(chosen.profile)
        print(json.dumps({name: round(amount, 1) for name, amount in found.items()}, indent=2))


if __name__ == "__main__":
    main()
