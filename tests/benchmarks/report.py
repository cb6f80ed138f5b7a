"""The table for people and the JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from tests.benchmarks.child import probe_ms
from tests.benchmarks.contenders import BASELINES
from tests.benchmarks.results import Budget, Figures
from tests.benchmarks.scenarios import Scenario

__all__ = [
    "budget_json",
    "environment",
    "legend",
    "scenario_json",
    "scenario_table",
    "verdict",
]

_LIBRARIES = (
    "llm-mesh-middleware",
    "aiohttp",
    "httpx",
    "httpcore",
    "uvicorn",
    "httptools",
    "uvloop",
)
_HEADER = (
    f"  {'contender':<16}{'CPU/request':>13}{'CPU/chunk':>11}{'ratio':>8}{'(range)':>14}"
    f"{'req/s':>9}{'busy':>6}{'MB':>6}{'first':>9}{'whole':>9}{'ch/write':>9}{'errors':>7}  budget"
)


def environment() -> dict[str, object]:
    """What the figures hold for."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": _load_average(),
        "probe_ms": probe_ms(),
        "versions": {name: _version(name) for name in _LIBRARIES},
    }


def _load_average() -> float | None:
    """Of the last minute; the benchmark itself accounts for 1 to 2."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def legend() -> str:
    """What the columns mean."""
    return (
        "CPU is the server's user and system time; ratio is to the first contender of the scenario"
        "\n(mesh-wsgi: to wsgi-relay), as the median of the turns; busy is how much of its core"
        "\nthe server took, MB its memory; first and whole are the client's median waits in ms;"
        "\nch/write is how many chunks the server had read at once and wrote at once."
    )


def scenario_table(
    scenario: Scenario, figures: Mapping[str, Figures], budgets: Mapping[str, Sequence[Budget]]
) -> str:
    """The lines of one scenario."""
    lines = [f"\n{scenario.name}: {_described(scenario)} (load {_load_average()})", _HEADER]
    for name, own in figures.items():
        low, high = own.ratio_range
        lines.append(
            f"  {name:<16}{own.cpu_ms:>10.3f} ms"
            f"{_cell(own.cpu_us_per_chunk, '.1f', ' µs'):>11}"
            f"{own.ratio:>7.2f}x{f'({low:.2f}-{high:.2f})':>14}"
            f"{own.per_s:>9.0f}{own.busy:>6.0%}{own.memory_mb:>6.0f}{own.first_byte_ms:>9.2f}{own.whole_ms:>9.2f}"
            f"{_cell(own.chunks_per_write, '.1f', ''):>9}{own.errors:>7}"
            f"  {'; '.join(map(verdict, budgets.get(name, ())))}".rstrip()
        )
        if own.first_error is not None:
            lines.append(f"    {own.first_error}")
    return "\n".join(lines)


def verdict(budget: Budget) -> str:
    """A budget in a few words."""
    outcome = "ok" if budget.is_met else "over"
    found = f"{budget.value:.4g}"
    if budget.probe_ms is not None:
        found += f" ({budget.at_full_speed:.4g} at full speed)"
    return f"{outcome}: {budget.what} {found} of {budget.limit:g} {budget.unit}"


def scenario_json(
    scenario: Scenario,
    figures: Mapping[str, Figures],
    budgets: Mapping[str, Sequence[Budget]],
    probe_ms: float,
) -> dict[str, object]:
    """The same for programs; `probe_ms` is of the core of the servers."""
    return {
        "scenario": asdict(scenario),
        "load_average": _load_average(),
        "probe_ms": probe_ms,
        "baseline": BASELINES[scenario.kind],
        "contenders": {name: asdict(own) for name, own in figures.items()},
        "budgets": {name: [budget_json(one) for one in given] for name, given in budgets.items()},
    }


def budget_json(budget: Budget) -> dict[str, object]:
    """A budget for programs."""
    return asdict(budget) | {"at_full_speed": budget.at_full_speed, "is_met": budget.is_met}


def _cell(value: float | None, form: str, unit: str) -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _described(scenario: Scenario) -> str:
    parts = [f"{scenario.in_flight} in flight"]
    if scenario.kind == "sse":
        pace = f"{scenario.pace_s * 1e3:g} ms apart" if scenario.pace_s else "unpaced"
        parts.append(f"{scenario.chunks} chunks {pace}")
    if scenario.think_s:
        parts.append(f"upstream thinks {scenario.think_s * 1e3:g} ms")
    if scenario.body_bytes > 1024:
        parts.append(f"body of {scenario.body_bytes // 1000} KB")
    if scenario.is_tls:
        parts.append("upstream has TLS")
    return ", ".join(parts)
