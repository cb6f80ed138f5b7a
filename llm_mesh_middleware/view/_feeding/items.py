"""Every limit, budget, guard and cache of a configuration, before any of them has decided."""

from __future__ import annotations

from collections.abc import Iterator

from ..._core.limiting.budget import Budget
from ..._core.limiting.item import Item
from ..._core.limiting.limit import Limit
from ..._core.policy.cache import CachePolicy
from ..._core.policy.guards import (
    RemoteRequestGuards,
    RemoteResponseGuards,
    RequestGuards,
    ResponseGuards,
    ShapeGuards,
)
from ..._core.policy.limits.policy import AttemptLimits, CallLimits
from ..._core.routing.table import RoutingTable
from ..values import PolicyReport, key_of

__all__ = ["configured"]

_MAX_ITEMS = 500
_NANO = 10**9
_SHADOW = " (shadow)"
# The largest unit that a period is a whole number of.
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def configured(table: RoutingTable) -> dict[str, PolicyReport]:
    """Return the policy items of a table by key: their settings, and no decisions yet."""
    found: dict[str, PolicyReport] = {}
    for report in _items(table):
        found.setdefault(key_of(report.policy, report.item, report.kind), report)
        if len(found) >= _MAX_ITEMS:
            break
    return found


def _items(table: RoutingTable) -> Iterator[PolicyReport]:
    for host in table.hosts:
        for rule in host.rules:
            for layer in rule.policies:
                yield from _of_layer(layer)
            for backend in rule.backends:
                if backend.policy is not None:
                    yield from _of_layer(backend.policy)


def _of_layer(layer: object) -> Iterator[PolicyReport]:
    match layer:
        case CallLimits(items=items) | AttemptLimits(items=items):
            yield from map(_counting, items)
        case RequestGuards() | ResponseGuards():
            for guard in layer.guards:
                yield _plain(guard.policy, guard.name, "guard", guard.action, guard.is_shadow)
        case RemoteRequestGuards() | RemoteResponseGuards() | ShapeGuards():
            for asking in layer.guards:
                guard = asking.guard
                yield _plain(guard.policy, guard.name, "guard", guard.action, guard.is_shadow)
        case CachePolicy():
            yield from _of_cache(layer)


def _of_cache(cache: CachePolicy) -> Iterator[PolicyReport]:
    by = ", ".join(map(str, cache.vary))
    says = (
        f"kept for {_period(cache.ttl_s)}, {f'separate for each {by}' if by else 'shared by all'}"
    )
    yield _plain(cache.policy, "cache", "cache", says)
    if (semantic := cache.semantic) is not None:
        says = f"similarity of {semantic.threshold:g} or more"
        yield _plain(cache.policy, "semantic", "semantic", says, semantic.is_shadow)


def _plain(policy: str, item: str, kind: str, says: str, is_shadow: bool = False) -> PolicyReport:
    return PolicyReport(policy, item, kind, "", {}, [], says=says + _SHADOW * is_shadow)


def _counting(item: Item) -> PolicyReport:
    """Return a limit or a budget of which nothing is used yet."""
    currency, full, says = "", 0.0, ""
    if isinstance(item, Budget):
        currency, full, period = item.currency, item.amount / _NANO, item.calendar.period
        says = f"per {period if isinstance(period, str) else _period(period)}"
    elif isinstance(item, Limit) and item.rate is not None:
        full = float(item.rate.burst)
        says = f"{item.rate.amount:,} per {_period(item.rate.period_us / 1e6)}"
    elif isinstance(item, Limit):
        full, says = float(item.slots), f"{item.slots:,} at a time"
    by = ", ".join(map(str, item.by))
    says = f"{says}, {f'for each {by}' if by else 'for all together'}{_SHADOW * item.is_shadow}"
    return PolicyReport(item.policy, item.name, item.kind, currency, {}, [], full=full, says=says)


def _period(seconds: float) -> str:
    size, unit = next((each for each in _UNITS if seconds % each[0] == 0), (1, "s"))
    return f"{seconds / size:g} {unit}"
