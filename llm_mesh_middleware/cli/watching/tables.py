"""A snapshot as tables for the terminal: providers and their states, rules and their backends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...view.values import (
    Backend,
    Call,
    Edge,
    Level,
    PolicyReport,
    ProviderState,
    Rule,
    Snapshot,
    key_of,
)

__all__ = ["call_line", "call_row", "state_text", "summary", "view_of"]

# A mark and a word in addition to the colour, which not every reader or terminal distinguishes.
_STATES = {
    "healthy": ("●", "green"),
    "half_open": ("◐", "yellow"),
    "rate_limited": ("‖", "magenta"),
    "ejected": ("✕", "bold red"),
    "unknown": ("○", "dim"),
}

# From the least to the most that somebody needs to see.
_WORTH = ("unknown", "healthy", "half_open", "rate_limited", "ejected")
_HEAD_LINES = 2  # of a table: a blank line, and its names
_FEWEST = 3

Row = TypeVar("Row")


def view_of(snapshot: Snapshot, *, lines: int | None = None) -> Group:
    """Return the tables of `status` and `top`.

    With `lines`, about so many: of tables that are too long, the rows that matter most are left.
    """
    head = summary(snapshot)
    if lines is None:
        rooms: tuple[int | None, ...] = (None, None, None)
    else:
        rooms = _share(lines - head.plain.count("\n") - 1, snapshot)
    parts: list[RenderableType] = [head]
    for table, room in zip((_providers, _edges, _policies), rooms, strict=True):
        if (made := table(snapshot, room)) is not None:
            parts += ["", made]
    return Group(*parts)


def _share(lines: int, snapshot: Snapshot) -> tuple[int, int, int]:
    """Return how many rows the tables may have: a quarter for the outer ones, if they need it."""
    lines -= 3 * _HEAD_LINES
    few = max(_FEWEST, lines // 4)
    providers = min(len(snapshot.providers), few)
    policies = min(len(snapshot.policies), few)
    return providers, max(_FEWEST, lines - providers - policies), policies


def _most(rows: Iterable[Row], room: int | None, worth: Callable[[Row], float]) -> list[Row]:
    """Return the rows that are worth most, in their order, and no more than there is room for."""
    found = list(rows)
    if room is None or len(found) <= room:
        return found
    by_worth = sorted(range(len(found)), key=lambda at: worth(found[at]), reverse=True)
    return [found[at] for at in sorted(by_worth[: max(0, room - 1)])]


def _tell_rest(table: Table, left_out: int) -> Table:
    if left_out:
        table.add_row(Text(f"and {left_out:,} more", "dim"))
    return table


def summary(snapshot: Snapshot) -> Text:
    """Return one line on the configuration and the traffic, and one for each problem."""
    config = snapshot.config
    recent = [row for row in snapshot.seconds if row[0] >= snapshot.second - 5]
    rate = sum(row[1] for row in recent) / 5
    parts = [
        f"configuration {config.state}, generation {config.generation}",
        f"{len(snapshot.hosts)} hosts",
        f"{rate:.1f} requests/s",
        f"{sum(row[3] for row in recent) / 5:.0f} tokens/s",
    ]
    costs: Counter[str] = Counter()
    for edge in snapshot.edges.values():
        costs.update(edge.costs)
    parts += [f"{amount:.3g} {currency} in 5 min" for currency, amount in costs.items()]
    if snapshot.workers > 1:
        parts.append(f"{snapshot.workers} workers")
    text = Text("; ".join(parts))
    for problem in config.problems:
        style = "bold red" if problem.severity == "error" else "yellow"
        text.append(f"\n{problem.severity}: {problem.place}: {problem.text}", style)
    return text


def state_text(state: ProviderState) -> Text:
    """Return the state of a provider with its mark, and how long it lasts."""
    mark, style = _STATES[state.state]
    word = state.state.replace("_", "-")
    if state.ejected_for_s:
        what = "probe in" if state.state == "ejected" else "for"
        word += f", {what} {state.ejected_for_s:.0f} s"
    return Text(f"{mark} {word}", style)


def call_row(call: Call) -> tuple[str, ...]:
    """Return a call as the cells of a row, the time first."""
    served = next((each for each in call.attempts if each.is_served), None)
    last = served or (call.attempts[-1] if call.attempts else None)
    result = str(call.status or "-")
    if call.error is not None and call.error != result:
        result = f"{result} {call.error}"
    tokens = f"{call.input_tokens}/{call.output_tokens}"
    return (
        datetime.fromtimestamp(call.at).strftime("%H:%M:%S"),
        result,
        call.host,
        call.rule or "-",
        last.provider if last is not None else "-",
        call.model or "-",
        _ms(call.duration_ms),
        tokens,
        call.consumer or "-",
    )


def call_line(call: Call) -> Text:
    """Return a call as one line, and a line for each attempt that was not served."""
    style = "red" if call.error and not call.is_abandoned else ""
    text = Text("  ".join(call_row(call)), style)
    for attempt in call.attempts:
        if not attempt.is_served and attempt.error:
            how = f"{attempt.error} after {_ms(attempt.took_ms)}"
            text.append(f"\n          attempt {attempt.number} at {attempt.host}: {how}", "yellow")
    return text


def _table(*columns: str, numbers: int) -> Table:
    """Return a table whose last `numbers` columns are aligned to the right; fits 80 columns."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        if index < len(columns) - numbers:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def _providers(snapshot: Snapshot, room: int | None) -> Table:
    table = _table("provider", "state", "last failure", "under way", numbers=1)
    providers = snapshot.providers
    shown = _most(providers, room, lambda host: _WORTH.index(providers[host].state))
    for host in shown:
        state = providers[host]
        table.add_row(host, state_text(state), state.last_failure or "-", str(state.in_flight))
    return _tell_rest(table, len(providers) - len(shown))


def _edges(snapshot: Snapshot, room: int | None) -> Table:
    names = ("host: rule", "backend", "wanted", "seen", "req/s", "p50", "p99", "errors")
    table = _table(*names, numbers=6)
    every = list(_backends(snapshot))
    shown = _most(every, room, lambda row: -1.0 if row[3] is None else row[3].rate)
    before: tuple[str, str] | None = None
    for host, rule, backend, edge in shown:
        name = "" if before == (host, rule.name) else f"{host}: {rule.name}"
        before = host, rule.name
        table.add_row(name, backend.provider, _wanted(backend), *_numbers(edge))
    return _tell_rest(table, len(every) - len(shown))


def _policies(snapshot: Snapshot, room: int | None) -> Table | None:
    if not snapshot.policies:
        return None
    table = _table("limit, budget, guard, cache", "decided in 5 min", "fullest", numbers=0)
    shown = _most(snapshot.policies.values(), room, lambda found: sum(found.counts.values()))
    for found in shown:
        counts = ", ".join(
            f"{count} {decision.replace('_', ' ')}" for decision, count in found.counts.items()
        )
        fullest = _level(found, found.levels[0]) if found.levels else _untouched(found)
        table.add_row(f"{found.kind} {found.item}", counts or "nothing", fullest)
    return _tell_rest(table, len(snapshot.policies) - len(shown))


def _untouched(found: PolicyReport) -> str:
    return _level(found, Level((), found.full, found.full, 0)) if found.full else "-"


def _level(found: PolicyReport, level: Level) -> str:
    used = 100 * min(1.0, max(0.0, 1 - level.left / level.of))
    by = f"{', '.join(level.by)}: " if level.by else ""
    unit = f" {found.currency}" if found.currency else ""
    return f"{by}{used:.0f} % used, {level.left:g} of {level.of:g}{unit} left"


def _backends(snapshot: Snapshot) -> Iterator[tuple[str, Rule, Backend, Edge | None]]:
    for host in snapshot.hosts.values():
        for rule in host.rules:
            for backend in rule.backends:
                key = key_of(host.name, rule.name, backend.provider)
                yield host.name, rule, backend, snapshot.edges.get(key)


def _wanted(backend: Backend) -> str:
    return f"prio {backend.priority}" if backend.priority else f"{100 * backend.share:.0f} %"


def _numbers(edge: Edge | None) -> tuple[str, ...]:
    if edge is None:
        return "-", "0.0", "-", "-", "0"
    seen = "-" if edge.seen_share is None else f"{100 * edge.seen_share:.0f} %"
    return seen, f"{edge.rate:.1f}", _ms(edge.p50_ms), _ms(edge.p99_ms), str(edge.errors)


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
