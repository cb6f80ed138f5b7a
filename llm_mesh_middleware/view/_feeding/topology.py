"""The configuration as the view shows it: hosts, rules, backends, problems, changes."""

from __future__ import annotations

from collections.abc import Mapping

from ..._core.balance.backends import Backend as CompiledBackend
from ..._core.balance.sticky import Sticky
from ..._core.explaining.condition_text import condition_text
from ..._core.explaining.redaction import Mask, known_secrets
from ..._core.routing.matching import Match
from ..._core.routing.table import RouteRule, RoutingTable
from ...mesh import MeshStatus
from ..values import Backend, Change, ConfigProblem, ConfigStatus, Host, PolicyReport, Rule
from .items import configured

__all__ = ["Topology", "describe"]

_MAX_CHANGES = 20
_MAX_NAMES = 50
_MAX_PROBLEMS = 200


class Topology:
    """Describes each version of the table once, and remembers the changes between versions."""

    def __init__(self) -> None:
        self._table: RoutingTable | None = None
        self._changes: tuple[Change, ...] = ()
        self.hosts: dict[str, Host] = {}
        self.items: dict[str, PolicyReport] = {}

    def follow(self, table: RoutingTable, status: MeshStatus) -> ConfigStatus:
        """Take the newest table and its status; return the status as the view shows it."""
        if table is not self._table:
            hosts = describe(table)
            if self._table is not None:
                change = _change(self.hosts, hosts, status)
                self._changes = (change, *self._changes)[:_MAX_CHANGES]
            self._table, self.hosts, self.items = table, hosts, configured(table)
        problems = status.problems[:_MAX_PROBLEMS]
        return ConfigStatus(
            state=status.state,
            generation=status.generation,
            loaded_at=status.loaded_at,
            problems=tuple(
                ConfigProblem(each.place, each.text, each.severity) for each in problems
            ),
            changes=self._changes,
        )


def describe(table: RoutingTable) -> dict[str, Host]:
    """Return the hosts of a table by name; possible credentials in conditions are masked."""
    mask = Mask(known_secrets(table))
    return {
        host.name: Host(host.name, host.route, tuple(_rule(rule, mask) for rule in host.rules))
        for host in table.hosts
    }


def _rule(rule: RouteRule, mask: Mask) -> Rule:
    balancer = rule.balancer
    return Rule(
        name=rule.name,
        matches=tuple(_match(match, mask) for match in rule.matches),
        sticky=f"{balancer.kind} {balancer.name}" if isinstance(balancer, Sticky) else None,
        backends=tuple(_backend(backend, tier) for tier in rule.backends.tiers for backend in tier),
    )


def _match(match: Match, mask: Mask) -> str:
    if match.excluded is not None:
        return f"never: {match.excluded}"
    return ", ".join(condition_text(each, mask) for each in match.conditions) or "everything"


def _backend(backend: CompiledBackend, tier: tuple[CompiledBackend, ...]) -> Backend:
    total = sum(each.weight for each in tier)
    return Backend(
        provider=backend.upstream.provider,
        host=backend.upstream.host,
        model=backend.upstream.model,
        priority=backend.priority,
        weight=backend.weight,
        share=1.0 if len(tier) == 1 else round(backend.weight / total, 4),
    )


def _change(old: Mapping[str, Host], new: Mapping[str, Host], status: MeshStatus) -> Change:
    before, after = _parts(old), _parts(new)
    return Change(
        generation=status.generation,
        at=status.loaded_at,
        added=tuple(sorted(after.keys() - before.keys()))[:_MAX_NAMES],
        removed=tuple(sorted(before.keys() - after.keys()))[:_MAX_NAMES],
        changed=tuple(
            sorted(name for name in after.keys() & before.keys() if before[name] != after[name])
        )[:_MAX_NAMES],
    )


def _parts(hosts: Mapping[str, Host]) -> dict[str, object]:
    return {f"{host.name}: {rule.name}": rule for host in hosts.values() for rule in host.rules}
