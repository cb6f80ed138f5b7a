"""The compiled configuration: hosts, rules, backends. Immutable; a request sees one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..exceptions import NoRouteMatched
from .balancing import WeightedBackends
from .hosts import normalise_host
from .matching import Match
from .messages import ClientRequest
from .operations import CHAT, Operation, find_operation
from .timeouts import Timeouts
from .upstream import Upstream

__all__ = ["RouteRule", "RoutingTable", "Selection", "VirtualHost"]

# Raw Host values seen lately. Clients choose them, so the memory they may take is fixed.
_MAX_CACHED_HOSTS = 1024


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One entry of a route; it takes a request that any of its matches takes."""

    name: str
    matches: tuple[Match, ...]
    backends: WeightedBackends
    timeouts: Timeouts = Timeouts()

    def holds(self, request: ClientRequest) -> bool:
        """Whether any match holds."""
        return any(match.holds(request) for match in self.matches)


@dataclass(frozen=True, slots=True)
class Selection:
    """What routing decided for one request."""

    route: str
    rule: str
    upstream: Upstream
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """A host the mesh answers for; `route` names its LLMRoute, or its LLMProvider without one."""

    name: str
    route: str
    rules: tuple[RouteRule, ...]

    def operation(self, path: str) -> Operation | None:
        """The operation behind a client's path; a provider's own path is always chat."""
        operation = find_operation(path)
        if operation is None and any(
            backend.upstream.targets[CHAT].partition("?")[0] == path
            for rule in self.rules
            for backend in rule.backends.backends
        ):
            return CHAT
        return operation

    def select(self, request: ClientRequest, random: Callable[[], float]) -> Selection:
        """The first rule that holds, and one of its backends.

        Raises:
            NoRouteMatched: no rule holds.
        """
        for rule in self.rules:
            if rule.holds(request):
                upstream = rule.backends.pick(random).upstream
                return Selection(self.route, rule.name, upstream, rule.timeouts)
        raise NoRouteMatched(f"no rule of route {self.route!r} matches this request")


class RoutingTable:
    """Virtual hosts by name: exact, then the longest `*.suffix`, then `*`."""

    __slots__ = ("_cache", "_exact", "_suffixes", "_wildcard", "hosts")

    def __init__(
        self, hosts: Iterable[VirtualHost] = (), aliases: Mapping[str, str] | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        by_name = {host.name: host for host in self.hosts}
        self._wildcard = by_name.pop("*", None)
        suffixes = sorted(
            (name for name in by_name if name.startswith("*.")), key=len, reverse=True
        )
        self._suffixes = tuple((name[1:], by_name.pop(name)) for name in suffixes)
        self._exact = {alias: by_name[name] for alias, name in (aliases or {}).items()} | by_name
        self._cache: dict[bytes, VirtualHost | None] = {}

    def find(self, host: bytes) -> VirtualHost | None:
        """The virtual host that a raw Host value names, or None if it is not the mesh's."""
        try:
            return self._cache[host]
        except KeyError:
            if len(self._cache) >= _MAX_CACHED_HOSTS:
                self._cache.clear()
            found = self._cache[host] = self._find(normalise_host(host))
            return found

    def _find(self, host: str | None) -> VirtualHost | None:
        if host is None:
            return None
        if host in self._exact:
            return self._exact[host]
        for suffix, virtual_host in self._suffixes:
            if host.endswith(suffix) and len(host) > len(suffix):
                return virtual_host
        return self._wildcard
