"""Running a scenario: each contender beside its baseline, so that one noise disturbs both."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.benchmarks.contenders import BASELINES, CONTENDERS, baseline_of
from tests.benchmarks.load import Load, Round, run_load
from tests.benchmarks.processes import Fleet
from tests.benchmarks.results import Figures, figures_of
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wire import (
    app_answer,
    app_request,
    chat_request,
    stream_answer,
    unary_answer,
)

__all__ = ["contenders_of", "run_scenario"]


def contenders_of(
    scenario: Scenario, wanted: Sequence[str], *, foreign: Collection[str] = ()
) -> list[str]:
    """The contenders that take part, those of others that are there, and their baselines."""
    able = [
        name
        for name, contender in CONTENDERS.items()
        if scenario.kind in contender.kinds
        and (not wanted or name in wanted)
        and scenario.in_flight <= contender.max_in_flight
        and (contender.trusts_our_ca or not scenario.is_tls)
        and (name in foreign or not contender.is_foreign)
    ]
    baselines = {BASELINES[scenario.kind], *(baseline_of(name, scenario.kind) for name in able)}
    return [name for name in CONTENDERS if name in baselines or name in able]


def run_scenario(
    scenario: Scenario,
    fleet: Fleet,
    names: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    requests: int | None,
) -> dict[str, Figures]:
    """The figures of every contender in `names`; a round may be several turns of each."""
    fleet.prepare(scenario)
    turns = 1 if requests is not None else scenario.turns
    loads = {}
    for name in names:
        facts = fleet.server(name, is_tls=scenario.is_tls).facts
        loads[name] = _load(scenario, name, facts, seconds / turns, requests)
    pairs: dict[str, list[tuple[Round, Round]]] = {name: [] for name in names}
    for number in range(rounds * turns):
        for pair in _pairs(scenario, names, number):
            took = {}
            for name in pair:
                server = fleet.server(name, is_tls=scenario.is_tls)
                took[name] = asyncio.run(run_load(loads[name], server.read_cpu_s))
            for name, own in took.items():
                base = took.get(baseline_of(name, scenario.kind))
                if base is not None:
                    pairs[name].append((own, base))
    return {
        name: figures_of(
            scenario, pairs[name], fleet.server(name, is_tls=scenario.is_tls).read_memory_mb()
        )
        for name in names
    }


def _pairs(scenario: Scenario, names: Sequence[str], number: int) -> list[tuple[str, ...]]:
    """What runs in turn `number`: each contender and its baseline, the first of them by turns.

    Whatever gets faster or slower meanwhile favours neither. A baseline runs alone if there is
    nobody that is held against it.
    """
    pairs = [(baseline_of(name, scenario.kind), name) for name in names]
    held = [pair for pair in pairs if pair[0] != pair[1]]
    baselines = {baseline for baseline, _ in held}
    alone = [(name,) for baseline, name in pairs if baseline == name and name not in baselines]
    turn = [*held[number % len(names) :], *held[: number % len(names)], *alone]
    return [pair if number % 2 == 0 else pair[::-1] for pair in turn]


def _load(
    scenario: Scenario, name: str, facts: Mapping[str, Any], seconds: float, requests: int | None
) -> Load:
    answer: bytes | None
    if scenario.kind == "pass":
        request, answer = app_request(), app_answer()
    else:
        is_stream = scenario.kind == "sse"
        request = chat_request(
            CONTENDERS[name].model,
            size_bytes=scenario.body_bytes,
            is_stream=is_stream,
            path=CONTENDERS[name].path,
            headers=facts["headers"],
        )
        answer = stream_answer(scenario.chunks) if is_stream else unary_answer()
        if CONTENDERS[name].is_foreign:
            answer = None
    spread_s = scenario.think_s + scenario.pace_s * scenario.chunks
    return Load(facts["port"], request, answer, scenario.in_flight, seconds, requests, spread_s)
