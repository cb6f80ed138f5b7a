"""The cost of an open view: `python -m tests.benchmarks.view`, which prints JSON.

    per call    what an attached hub adds to a chat that is answered at once: the median of rounds
                that take turns with rounds of the same app without it
    per event   the same for each event of a stream, while few calls are under way
    per second  a snapshot and the difference for one viewer, while so many calls a second end: they
                are added up then
    off         the modules of the view that a mesh without one has imported: none
    memory      what a hub holds that has seen more calls than it keeps

All but the last two are in processor time. A share is of one core at the calls a minute that are
given, of this machine and of one at its full speed, by what the probe takes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from llm_mesh_middleware.view._feeding.feed import Feed
from llm_mesh_middleware.view._source import Source
from llm_mesh_middleware.view._watching.hub import Hub
from tests.benchmarks.child import probe_ms
from tests.benchmarks.in_memory import EVENTS, JSON, Client, app_of, parsed, serve
from tests.benchmarks.results import Budget
from tests.benchmarks.wire import ASKED_MODEL, chat_request, stream_events, unary_answer
from tests.processes import ROOT

__all__ = ["measure_view"]

_MAX_SHARE_PERCENT = 1
_KEPT = 500
_EVENTS_OF_A_STREAM = 200
_OFF = """
import sys
from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
LLMMeshMiddleware(None, mesh=Mesh([], settings=MeshSettings()))
import llm_mesh_middleware.cli.serving.direct
print([name for name in sys.modules if name.startswith("llm_mesh_middleware.view")])
"""


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.view")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=1000, help="in each round")
    parser.add_argument("--per-minute", type=int, default=10_000, help="calls that the share is of")
    print(json.dumps(measure_view(**vars(parser.parse_args())), indent=2))


def measure_view(*, rounds: int, calls: int, per_minute: int) -> dict[str, Any]:
    """Return the figures."""
    whole, watched = _timed(_unary, is_watched=False), _timed(_unary, is_watched=True)
    alone_us, added_us, probe = _compare(whole, watched, rounds, calls)
    streams = _timed(_stream, is_watched=False), _timed(_stream, is_watched=True)
    _, stream_us, _ = _compare(*streams, rounds, max(1, calls // 20))
    per_second = per_minute / 60
    shown_us = _shown(rounds, round(per_second))
    share = 100 * (added_us * per_second + shown_us) / 1e6
    budget = Budget("an open view", share, _MAX_SHARE_PERCENT, "% of a core", probe)
    return {
        "call_us": round(alone_us, 1),
        "added_us_per_call": round(added_us, 1),
        "added_us_per_event": round((stream_us - added_us) / _EVENTS_OF_A_STREAM, 2),
        "snapshot_and_diff_us_per_second": round(shown_us, 1),
        "calls_per_minute": per_minute,
        "share_of_a_core_percent": round(share, 2),
        "probe_ms": probe,
        "share_at_full_speed_percent": round(budget.at_full_speed, 2),
        "is_met": budget.is_met,
        "imported_when_off": _imported_when_off(),
        "memory_of_a_small_mesh_kib": round(_memory() / 1024),
    }


def _unary() -> tuple[Any, bytes]:
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False)
    return Client(JSON, [unary_answer()]), request


def _stream() -> tuple[Any, bytes]:
    pieces = [*stream_events(_EVENTS_OF_A_STREAM), b"data: [DONE]\n\n"]
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=True)
    return Client(EVENTS, pieces), request


def _timed(make: Callable[[], tuple[Any, bytes]], *, is_watched: bool) -> Callable[[int], float]:
    """Return what serves so many calls and tells the microseconds that each took."""
    client, request = make()
    app = app_of(client)
    scope, body = parsed(request)
    hub = Hub(app.mesh)  # an observer lives as long as somebody holds it
    if is_watched:
        app.mesh.observe(hub)

    async def run(calls: int) -> float:
        hub.report()  # somebody looks
        for _ in range(5):
            await serve(app, scope, body)
        began = time.process_time()
        for _ in range(calls):
            await serve(app, scope, body)
        return (time.process_time() - began) / calls * 1e6

    def timed(calls: int) -> float:
        return asyncio.run(run(calls))

    return timed


def _compare(
    alone: Callable[[int], float], watched: Callable[[int], float], rounds: int, calls: int
) -> tuple[float, float, float]:
    """Return the median without, that of what each round with it took more, and the probe's.

    A machine that becomes slower or faster meanwhile favours whoever is first, so they take turns
    at that; rubbish of one is collected before the other's turn.
    """
    pairs, probes = [], []
    for number in range(rounds):
        turns = (alone, watched) if number % 2 else (watched, alone)
        took = {}
        for timed in turns:
            gc.collect()
            took[timed] = timed(calls)
        pairs.append((took[alone], took[watched]))
        probes.append(probe_ms())
    added_us = statistics.median(watched - alone for alone, watched in pairs)
    return statistics.median(alone for alone, _ in pairs), added_us, statistics.median(probes)


def _shown(rounds: int, calls: int) -> float:
    """Return the microseconds of a second's snapshot and difference after so many calls."""
    client, request = _unary()
    app = app_of(client)
    scope, body = parsed(request)
    hub = Hub(app.mesh)
    app.mesh.observe(hub)
    feed, position, took = Feed(Source(app.mesh, hub).take), None, []

    async def run(count: int) -> None:
        for _ in range(count):
            await serve(app, scope, body)

    asyncio.run(run(_KEPT))
    position, _ = feed.since(None, 0)
    for second in range(1, rounds + 1):
        asyncio.run(run(calls))
        began = time.process_time()
        position, events = feed.since(position, second)
        took.append((time.process_time() - began) * 1e6)
        assert events
    return statistics.median(took)


def _imported_when_off() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _OFF], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout.replace("'", '"'))
    return found


def _memory() -> int:
    """Return the bytes of a hub with as many calls as it keeps."""
    client, request = _unary()
    app = app_of(client)
    scope, body = parsed(request)

    async def run(count: int) -> None:
        for _ in range(count):
            await serve(app, scope, body)

    asyncio.run(run(20))
    gc.collect()
    tracemalloc.start()
    hub = Hub(app.mesh)
    app.mesh.observe(hub)
    asyncio.run(run(_KEPT + 100))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


if __name__ == "__main__":
    main()
