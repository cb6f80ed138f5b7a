"""What policies cost, each against its budget.

    python -m tests.benchmarks.policies [--json PATH] [--quick]

What a policy adds is CPU of the mesh, without a server around it (`policy_cost`). Where the budget
is a share of a relay's CPU, the relay is the one of `python -m tests.benchmarks`, run before. The
lines of Redis need a server on this machine, and are left out without one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.child import allow_many_files
from tests.benchmarks.paths import calls_of
from tests.benchmarks.policy_cost import (
    DELTAS,
    GUARD,
    GUARD_OF_REQUESTS,
    REQUESTS,
    TOKENS,
    Load,
    costs_of,
    unsettled,
)
from tests.benchmarks.processes import Fleet
from tests.benchmarks.report import budget_json, environment, verdict
from tests.benchmarks.results import FULL_SPEED_MS, Budget
from tests.benchmarks.rounds import run_scenario
from tests.benchmarks.scenarios import SCENARIOS
from tests.policies.servers import Server, server_program

_RELAYED, _CACHED = "aiohttp-relay", "mesh-cached"
_SCENARIO = "unary-32-nothink"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure with its budget."""
    options = _options(arguments)
    allow_many_files()
    results: dict[str, object] = {"environment": environment(), "rounds": options.rounds}
    _say(json.dumps(results["environment"]))
    found: list[Budget] = []
    for budget in _measured(options.rounds, options.calls):
        _say(verdict(budget))
        found.append(budget)
    results["budgets"] = [budget_json(budget) for budget in found]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.policies")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there too")
    parser.add_argument("--quick", action="store_true", help="see that it all works")
    options = parser.parse_args(arguments)
    options.rounds, options.calls = (1, 64) if options.quick else (100, 64)
    return options


def _measured(rounds: int, calls: int) -> Iterator[Budget]:
    calls_added = max(0.0, calls_of("other") - calls_of())
    yield Budget("a policy of another rule", calls_added, 0, "function calls")
    with unsettled():
        found = costs_of({"requests": REQUESTS, "tokens": TOKENS}, Load(calls), rounds)
    _say(f"a call without a policy takes {found.plain:.0f} µs")
    for what, added_us in found.added.items():
        yield Budget(f"a limit of {what} in memory", added_us, 10, "µs a call", found.probe_ms)
    found = costs_of({"tokens": TOKENS}, Load(calls), rounds)
    settled_us = found.added["tokens"]
    at_full_speed_us = settled_us * FULL_SPEED_MS / found.probe_ms
    _say(
        f"a limit of tokens in memory with its settlement takes {settled_us:.1f}"
        f" ({at_full_speed_us:.1f} at full speed) µs a call"
    )
    yield from _of_guards(rounds, calls)
    relay_us, cached_us = _of_servers(rounds, calls)
    _say(f"a relayed call takes {relay_us:.0f} µs of the relay's server")
    yield Budget("a hit of the cache", cached_us / relay_us, 1, "of a relayed call")
    if server_program() is None:
        _say("there is no redis-server or valkey-server here: its lines are left out")
    else:
        yield from _of_redis(rounds, calls, relay_us)


def _of_guards(rounds: int, calls: int) -> Iterator[Budget]:
    few = max(2, calls // 32)
    for what, guard, load, limit_us, unit in (
        ("a request of 1 KB", GUARD_OF_REQUESTS, Load(calls), 30, "µs a call"),
        ("both sides of 1 KB", GUARD, Load(calls), 60, "µs a call"),
        ("a delta", GUARD, Load(few, is_stream=True), 3, "µs"),
        ("200 KB", GUARD, Load(few, size_bytes=200_000), 1000, "µs a call"),
    ):
        found = costs_of({what: guard}, load, rounds)
        added_us = found.added[what] / (DELTAS if load.is_stream else 1)
        yield Budget(f"a PII guard, {what}", added_us, limit_us, unit, found.probe_ms)


def _of_servers(rounds: int, calls: int) -> tuple[float, float]:
    """Return the CPU of a relayed call, and of one that the cache has, each by a whole server."""
    (scenario,) = (each for each in SCENARIOS if each.name == _SCENARIO)
    with tempfile.TemporaryDirectory() as directory, Fleet(Path(directory)) as fleet:
        figures = run_scenario(
            scenario,
            fleet,
            (_RELAYED, _CACHED),
            rounds=min(rounds, 5),
            seconds=1.0,
            requests=calls if rounds == 1 else 1000,
        )
    relayed, cached = figures[_RELAYED], figures[_CACHED]
    assert not relayed.errors + cached.errors
    return relayed.cpu_ms * 1e3, cached.cpu_ms * 1e3


def _of_redis(rounds: int, calls: int, relay_us: float) -> Iterator[Budget]:
    server = Server()
    try:
        settings = {"store": server.url, "store_timeout": 2}
        for in_flight in (1, 32):
            load = Load(calls, in_flight=in_flight, settings=settings)
            added = costs_of({"tokens": TOKENS}, load, rounds).added
            what = f"a limit of tokens in Redis, {in_flight} in flight"
            yield Budget(what, added["tokens"] / relay_us, 0.5, "of a relayed call")
        server.client.config_resetstat()
        costs_of({"tokens": TOKENS}, Load(64, settings=settings), 1)
        scripts = server.client.info("commandstats")["cmdstat_evalsha"]["calls"]
        yield Budget("scripts of Redis, before and after", scripts / 128, 2, "a call")
    finally:
        server.stop()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
