"""Rounds made into figures, and figures held against the budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.contenders import BASELINES, CONTENDERS, baseline_of
from tests.benchmarks.load import Round
from tests.benchmarks.scenarios import Scenario

__all__ = ["FULL_SPEED_MS", "Budget", "Figures", "budgets_of", "figures_of", "in_process_budget"]

FULL_SPEED_MS = 3.2  # the least that `probe_ms` has shown on the machine that the budgets are for

_MAX_PASS_US = 1.5
_MAX_LATER_MS = 0.3
_MAX_LARGE_BODY_MS = 0.5
_MAX_FEWER_PERCENT = 15.0
# Ours, another, and the highest part of its CPU or memory that ours may take, where all that a call
# costs shows: without a pause.
_COMPARED = "unary-32-nothink"
_OTHERS = (
    ("mesh", "litellm", "CPU", 1 / 100),
    ("mesh", "litellm", "memory", 1 / 4),
    ("mesh", "portkey", "CPU", 1 / 10),
    ("serve", "envoy", "CPU", 2.5),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """A contender in a scenario: medians over the rounds.

    `cpu_ms` is the server's CPU time for one request. `ratio` is the median of the ratios to the
    baseline's round just before or after, `ratio_range` its smallest and largest.
    """

    cpu_ms: float
    cpu_us_per_chunk: float | None
    ratio: float
    ratio_range: tuple[float, float]
    per_s: float
    busy: float
    first_byte_ms: float
    whole_ms: float
    chunks_per_write: float | None
    memory_mb: float
    requests: int
    errors: int
    first_error: str | None
    cpu_ms_of_rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of the design and what was measured against it.

    A limit in time is one of a machine at its full speed. Where the value is a time, `probe_ms` is
    what the probe took meanwhile, and the value counts as what it would be at that speed.
    """

    what: str
    value: float
    limit: float
    unit: str
    probe_ms: float | None = None

    @property
    def at_full_speed(self) -> float:
        return self.value * FULL_SPEED_MS / self.probe_ms if self.probe_ms else self.value

    @property
    def is_met(self) -> bool:
        return self.at_full_speed <= self.limit


def figures_of(
    scenario: Scenario, pairs: Sequence[tuple[Round, Round]], memory_mb: float
) -> Figures:
    """The figures of one contender, from its rounds and those of the baseline beside them.

    A round without an answer counts nothing but its errors.
    """
    rounds = [own for own, _ in pairs]
    good = [(own, base) for own, base in pairs if own.requests]
    costs = [_cost_s(own) for own, _ in good] or [0.0]
    ratios = [_cost_s(own) / _cost_s(base) for own, base in good if _cost_s(base)] or [0.0]
    chunks = scenario.chunks if scenario.kind == "sse" else 0
    answers = sum(own.requests for own in rounds)
    return Figures(
        cpu_ms=median(costs) * 1e3,
        cpu_us_per_chunk=median(costs) * 1e6 / chunks if chunks else None,
        ratio=median(ratios),
        ratio_range=(min(ratios), max(ratios)),
        per_s=_median(own.requests / own.wall_s for own, _ in good if own.wall_s),
        busy=_median(own.cpu_s / own.wall_s for own, _ in good if own.wall_s),
        first_byte_ms=_median(_median(own.first_byte_s) for own, _ in good) * 1e3,
        whole_ms=_median(_median(own.whole_s) for own, _ in good) * 1e3,
        chunks_per_write=_per_write(answers * chunks, sum(own.writes for own in rounds)),
        memory_mb=memory_mb,
        requests=answers,
        errors=sum(own.errors for own in rounds),
        first_error=next((own.first_error for own in rounds if own.first_error), None),
        cpu_ms_of_rounds=tuple(cost * 1e3 for cost in costs),
    )


def _cost_s(one: Round) -> float:
    return one.cpu_s / one.requests if one.requests else 0.0


def _median(values: Iterable[float]) -> float:
    known = list(values)
    return median(known) if known else 0.0


def _per_write(chunks: int, writes: int) -> float | None:
    return chunks / writes if chunks and writes else None


def budgets_of(
    scenario: Scenario,
    figures: Mapping[str, Figures],
    of_small_bodies: Mapping[str, Figures] | None,
    probe_ms: float,
) -> dict[str, list[Budget]]:
    """The budgets that apply, by contender.

    `of_small_bodies` are the figures of the scenario that differs in the size of its body alone.
    """
    found: dict[str, list[Budget]] = {}
    for name, own in figures.items():
        limit = CONTENDERS[name].budgets.get(scenario.kind)
        against = baseline_of(name, scenario.kind)
        baseline = figures.get(against)
        if limit is None or baseline is None or not own.ratio:
            continue
        budgets = found.setdefault(name, [])
        if scenario.has_cpu_budget:
            budgets.append(Budget(f"CPU against {against}", own.ratio, limit, "x"))
        if scenario.has_throughput_budget and baseline.per_s:
            less = max(0.0, 100 * (1 - own.per_s / baseline.per_s))
            budgets.append(Budget("answers fewer by", less, _MAX_FEWER_PERCENT, "%"))
        if scenario.has_first_byte_budget:
            later_ms = own.first_byte_ms - baseline.first_byte_ms
            budgets.append(Budget("first byte later by", later_ms, _MAX_LATER_MS, "ms", probe_ms))
        if of_small_bodies is not None and name in of_small_bodies:
            more_ms = own.cpu_ms - of_small_bodies[name].cpu_ms
            budgets.append(
                Budget("CPU for the larger body", more_ms, _MAX_LARGE_BODY_MS, "ms", probe_ms)
            )
    if scenario.name == _COMPARED:
        _add_others(found, figures)
    return found


def _add_others(found: dict[str, list[Budget]], figures: Mapping[str, Figures]) -> None:
    """How ours compares with the gateways of others, as a part of theirs: less is better."""
    for ours, theirs, what, limit in _OTHERS:
        own, other = figures.get(ours), figures.get(theirs)
        if own is None or other is None or not other.cpu_ms:
            continue
        is_cpu = what == "CPU"
        part = own.cpu_ms / other.cpu_ms if is_cpu else own.memory_mb / other.memory_mb
        budget = Budget(f"{what} of {theirs}", part, limit, "x")
        found.setdefault(ours, []).append(budget)


def in_process_budget(samples: Mapping[str, Sequence[float]], name: str, probe_ms: float) -> Budget:
    """What `name` adds to the bare app, as the median of the rounds' differences."""
    pairs = zip(samples[name], samples[BASELINES["pass"]], strict=True)
    added_us = median(own - bare for own, bare in pairs)
    return Budget("CPU more than bare", added_us, _MAX_PASS_US, "µs", probe_ms)
