"""`python -m tests.benchmarks`: CPU time per request and chunk, as ratios inside one run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median

from tests.benchmarks.child import allow_many_files, pin, probe_ms
from tests.benchmarks.contenders import BASELINES, CONTENDERS, DOCUMENTED_CONTENDERS
from tests.benchmarks.foreign import FOREIGN, find_foreign
from tests.benchmarks.in_process import measure_in_process
from tests.benchmarks.processes import Fleet
from tests.benchmarks.report import (
    budget_json,
    environment,
    legend,
    scenario_json,
    scenario_table,
    verdict,
)
from tests.benchmarks.results import Figures, budgets_of, in_process_budget
from tests.benchmarks.rounds import contenders_of, run_scenario
from tests.benchmarks.scenarios import DOCUMENTED, IN_PROCESS, SCENARIOS, STANDING, Scenario
from tests.benchmarks.spinners import spinning
from tests.benchmarks.standing import measure_standing

_NAMES = (IN_PROCESS, STANDING, *(scenario.name for scenario in SCENARIOS))
_LARGE, _SMALL = "unary-16-200k", "unary-16"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a contender had errors, whatever the budgets say."""
    options = _options(arguments)
    with spinning() if options.spin else nullcontext():  # on all cores, before this is pinned
        return _measure(options)


def _measure(options: argparse.Namespace) -> int:
    pin("load")
    allow_many_files()
    results: dict[str, object] = {
        "environment": environment() | {"spinners": options.spin},
        "rounds": options.rounds,
    }
    _say(json.dumps(results["environment"]))
    _say(legend())
    if IN_PROCESS in options.only:
        results[IN_PROCESS] = _run_in_process(options)
    wanted = [scenario for scenario in SCENARIOS if scenario.name in options.only]
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet(Path(directory), options.foreign)
        with fleet:
            results["scenarios"], errors = _run_all(wanted, fleet, options)
            if STANDING in options.only:  # last: it leaves much memory behind
                results[STANDING] = _run_standing(fleet, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _say(f"\n{errors} errors")
    return 1 if errors else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="SCENARIO",
        help=f"a name or pattern such as 'sse-*'; may be repeated. Names: {', '.join(_NAMES)}",
    )
    parser.add_argument(
        "--contender",
        action="append",
        choices=CONTENDERS,
        help="run this one and its baseline only; may be repeated",
    )
    parser.add_argument("--rounds", type=int, help="rounds of each contender (default 5)")
    parser.add_argument("--seconds", type=float, help="load of one round (default 1.5)")
    parser.add_argument("--requests", type=int, help="load of one round, instead of --seconds")
    parser.add_argument("--quick", action="store_true", help="see that it all works")
    parser.add_argument(
        "--documented",
        action="store_true",
        help="the figures of the documentation and no others, in a quarter of an hour",
    )
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        dest="named",
        metavar="NAME=WHERE",
        help="where a contender of others is; may be repeated. "
        + "; ".join(f"{name}: {foreign.how}" for name, foreign in FOREIGN.items()),
    )
    parser.add_argument(
        "--spin", action="store_true", help="keep the clock of the cores up (Linux)"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there too")
    options = parser.parse_args(arguments)
    try:
        options.foreign, skipped = find_foreign(options.named)
    except ValueError as wrong:
        parser.error(str(wrong))
    for line in skipped:
        _say(line)
    if options.documented:
        options.only = options.only or list(DOCUMENTED)
        options.contender = options.contender or [*DOCUMENTED_CONTENDERS, *options.foreign]
        options.seconds = options.seconds or 1.0
    patterns = options.only or ["*"]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in _NAMES):
            parser.error(f"no scenario is called {pattern!r}; names: {', '.join(_NAMES)}")
    options.only = [
        name for name in _NAMES if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.2 if options.quick else 1.5)
    return options


def _run_in_process(options: argparse.Namespace) -> dict[str, object]:
    calls = 1_000 if options.quick else 50_000
    samples = measure_in_process(rounds=options.rounds, calls=calls)
    probe = probe_ms()
    _say(f"\n{IN_PROCESS}: {calls} calls a round, without a server")
    found: dict[str, object] = {}
    for name, values in samples.items():
        budget = None if name == BASELINES["pass"] else in_process_budget(samples, name, probe)
        outcome = "" if budget is None else verdict(budget)
        _say(f"  {name:<16}{median(values):>10.3f} µs   {outcome}".rstrip())
        found[name] = {
            "cpu_us": median(values),
            "budget": None if budget is None else budget_json(budget),
        }
    return found


def _run_standing(fleet: Fleet, options: argparse.Namespace) -> dict[str, object]:
    found = measure_standing(fleet, streams=50 if options.quick else 5_000)
    _say(f"\n{STANDING}:")
    for budget in found.values():
        _say(f"  {verdict(budget)}")
    return {name: budget_json(budget) for name, budget in found.items()}


def _run_all(
    scenarios: Sequence[Scenario], fleet: Fleet, options: argparse.Namespace
) -> tuple[list[dict[str, object]], int]:
    results, errors = [], 0
    known: dict[str, dict[str, Figures]] = {}
    for scenario in scenarios:
        figures = known[scenario.name] = run_scenario(
            scenario,
            fleet,
            contenders_of(scenario, options.contender or (), foreign=options.foreign),
            rounds=options.rounds,
            seconds=options.seconds,
            requests=options.requests,
        )
        of_small_bodies = known.get(_SMALL) if scenario.name == _LARGE else None
        baseline = fleet.server(BASELINES[scenario.kind], is_tls=scenario.is_tls)
        probe = baseline.read_probe_ms()
        budgets = budgets_of(scenario, figures, of_small_bodies, probe)
        _say(scenario_table(scenario, figures, budgets))
        results.append(scenario_json(scenario, figures, budgets, probe))
        errors += sum(own.errors for own in figures.values())
    return results, errors


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
