"""python -m tests.benchmarks.road: what one call takes in each server, from socket to socket.

`--stream` tells what one event of a paced stream takes, which arrives alone: the difference between
long and short streams, so that neither the call nor the end of the stream is in it. With fewer
reads than one for each event, some have come together: then the machine was too busy.

Each server is a process of valgrind, and the load, the provider and the contenders are those of
`python -m tests.benchmarks`. So the servers' own part is in the figures, and aiohttp's relay can be
compared: by instructions, by objects that are made, and by what is asked of the event loop and of
the system. A busy machine changes none of them. `--profile DIR` keeps what `callgrind_annotate`
reads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from tests.benchmarks.callgrind import why_not
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.load import Load, run_load
from tests.benchmarks.processes import Child, await_port
from tests.benchmarks.wire import Origin, chat_request, stream_answer, unary_answer
from tests.processes import ROOT, Process, clean_environment

__all__ = ["COUNTS", "calls_by_function", "counts_of", "measure_call", "measure_event"]

COUNTS: Mapping[str, tuple[str, ...]] = {
    "objects": ("_Py_NewReference",),
    "coroutines and generators": ("make_gen",),
    "tasks": ("_asyncio_Task___init__",),
    "futures": ("_asyncio_Future___init__",),
    "callbacks of the loop": ("__pyx_f_6uvloop_4loop_new_Handle",),
    "timers of the loop": ("__pyx_f_6uvloop_4loop_7UVTimer_new",),
    "look-ups of the loop": ("_asyncio_get_running_loop",),
    "writes": ("write", "writev"),
    "reads": ("read", "readv"),
    "polls of one socket": ("poll",),
}
"""The functions of CPython, uvloop and libc whose calls are counted, by what they tell."""

DEFAULT = ("aiohttp-relay", "mesh", "serve-silent", "serve", "mesh-own-sdk", "mesh-sdk")

_FUNCTION = re.compile(r"(c?fn)=\((\d+)\)(?: (.+?)(?:'\d+)?)?\n")
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)
# Everything takes fifty times as long: with more, calls would wait for longer than calls do.
_IN_FLIGHT = 2
_WARM_UP, _CALLS = 200, 400
_STREAMS_WARM_UP, _STREAMS, _PACE_S = 4, 10, 0.05
_FEW, _MANY = 10, 50  # events of a stream


class _Counted(Child):
    """A server in a process of valgrind."""

    def __init__(self, folder: Path, name: str, origin: Origin) -> None:
        valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet")
        server = (sys.executable, "-m", "tests.benchmarks.server", name, json.dumps(asdict(origin)))
        Process.__init__(
            self,
            subprocess.Popen(
                [*valgrind, f"--callgrind-out-file={folder / name}", *server],
                cwd=ROOT,
                env=clean_environment() | {"PYTHONHASHSEED": "0"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ),
        )
        self.facts = self._read()

    def control(self, *arguments: str) -> None:
        """Have valgrind begin or end counting, or write what it has counted."""
        command = ["callgrind_control", *arguments, str(self._process.pid)]
        subprocess.run(command, check=True, capture_output=True)


def calls_by_function(lines: Iterable[str]) -> Counter[str]:
    """Return how often each function was called, from a file of callgrind's."""
    names: dict[str, str] = {}
    calls: Counter[str] = Counter()
    called = ""
    for line in lines:
        if found := _FUNCTION.match(line):
            kind, number, name = found.groups()
            if name is not None:
                names[number] = name
            if kind == "cfn":
                called = names.get(number, "")
        elif line.startswith("calls="):
            calls[called] += int(line[6:].split(" ", 1)[0])
    return calls


def counts_of(file: Path, calls: int) -> dict[str, float]:
    """Return the figures of one call: thousands of instructions, and `COUNTS`."""
    text = file.read_text(encoding="utf-8", errors="replace")
    total = _TOTALS.search(text)
    assert total is not None, f"{file} is no file of callgrind's"
    made = calls_by_function(text.splitlines(keepends=True))
    figures = {"thousands of instructions": int(total[1]) / 1000 / calls}
    figures |= {what: sum(made[name] for name in names) / calls for what, names in COUNTS.items()}
    return figures


def measure_call(name: str, origin: Origin, folder: Path, upstream: Child) -> dict[str, float]:
    """Return the figures of one call through a contender."""
    upstream.ask(json.dumps({"think_s": 0.0, "chunks": 1, "pace_s": 0.0}))
    request = chat_request(CONTENDERS[name].model, size_bytes=1024, is_stream=False)
    with _Counted(folder, name, origin) as server:
        load = Load(server.facts["port"], request, unary_answer(), _IN_FLIGHT, 0.0, _WARM_UP)
        calls = _count(server, load, _CALLS)
        return counts_of(_written(folder, f"{name}.1"), calls)


def measure_event(name: str, origin: Origin, folder: Path, upstream: Child) -> dict[str, float]:
    """Return the figures of one event more of a paced stream through a contender."""
    request = chat_request(CONTENDERS[name].model, size_bytes=1024, is_stream=True)
    found = []
    with _Counted(folder, name, origin) as server:
        for number, events in enumerate((_FEW, _MANY), 1):
            upstream.ask(json.dumps({"think_s": 0.0, "chunks": events, "pace_s": _PACE_S}))
            answer, port = stream_answer(events), server.facts["port"]
            load = Load(port, request, answer, _IN_FLIGHT, 0.0, _STREAMS_WARM_UP)
            streams = _count(server, load, _STREAMS)
            found.append(counts_of(_written(folder, f"{name}.{number}"), streams))
    few, many = found
    return {what: (amount - few[what]) / (_MANY - _FEW) for what, amount in many.items()}


def _count(server: _Counted, warm_up: Load, calls: int) -> int:
    """Have the server count calls, after those of `warm_up`; return how many it served."""
    await_port(warm_up.port)

    def run(load: Load) -> int:
        seen = asyncio.run(run_load(load, lambda: 0.0))
        assert not seen.errors, seen.first_error
        return seen.requests + _IN_FLIGHT  # each connection has an answer first

    run(warm_up)
    server.control("-i", "on")
    served = run(replace(warm_up, requests=calls))
    server.control("-i", "off")
    server.control("-d")
    return served


def _written(folder: Path, name: str) -> Path:
    """Return the file with what was counted, when it is whole."""
    file = folder / name
    for _ in range(100):
        if file.exists() and _TOTALS.search(file.read_text(encoding="utf-8", errors="replace")):
            return file
        time.sleep(0.1)
    raise RuntimeError(f"valgrind wrote no {name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.road")
    parser.add_argument("--contender", action="append", choices=CONTENDERS)
    parser.add_argument("--stream", action="store_true", help="count events of paced streams")
    parser.add_argument("--profile", type=Path, help="keep what was counted in this folder")
    options = parser.parse_args(arguments)
    if reason := why_not():
        sys.exit(f"calls cannot be counted: {reason}")
    measure, one = (measure_event, "event") if options.stream else (measure_call, "call")
    found: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        folder = options.profile or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        upstream = stack.enter_context(Child("upstream", str(folder / "ca.pem")))
        http, sink = (upstream.facts["ports"][kind] for kind in ("http", "sink"))
        origin = Origin(f"http://127.0.0.1:{http}", None, f"http://127.0.0.1:{sink}")
        for name in options.contender or DEFAULT:
            found[name] = measure(name, origin, folder, upstream)
    sys.stdout.write(f"{f'of one {one}':<26}{''.join(f'{name:>15}' for name in found)}\n")
    for what in ("thousands of instructions", *COUNTS):
        row = "".join(f"{figures[what]:>15.1f}" for figures in found.values())
        sys.stdout.write(f"{what:<26}{row}\n")


if __name__ == "__main__":
    main()
