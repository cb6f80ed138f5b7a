"""The compiled configuration: hosts, rules, backends. Immutable; a request sees one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
from msgspec.structs import force_setattr

from ...exceptions import NoRouteMatched
from ..balance.backends import Backends
from ..balance.balancer import Balancer
from ..balance.weighted import Weighted
from ..dialect import ServedOperation
from ..http.hosts import normalise_host
from ..provider.upstream import Upstream
from ..values.messages import ClientRequest
from ..values.steps import Steps
from .matching import Exact, Match
from .mirror import Mirror
from .retry_policy import RetryPolicy
from .timeouts import Timeouts

__all__ = ["Layer", "RouteRule", "RoutingTable", "VirtualHost"]

# A policy, whose signature is defined by the flow (`flow.call.CallPolicy`).
Layer = Callable[..., Steps]


class Gate(Protocol):
    """A policy that may admit a call without waiting and without a layer around its attempts."""

    def admit(self, request: ClientRequest, rule: str, state: Any, observation: Any) -> Any:
        """Return an `Admission`, or None: then the policy is asked as a layer."""


# A cache of raw Host values, which clients choose: at most 1,024 of 272 bytes. A DNS name has up to
# 253 characters; a longer value is looked up each time.
_MAX_CACHED_HOSTS = 1024
_MAX_CACHED_HOST = 272


class RouteRule(msgspec.Struct, frozen=True):
    """One entry of a route; it applies to a request if any of its matches does.

    `balancer` picks among its backends of one priority. `policies` are layers around the attempts
    of a request, the first is the outermost. `mirrors` get copies of some requests. `reads_quota`
    is the balancer's. `matches_all`: one match has no conditions. `settles`: its policies ask how a
    call has gone, as nearly all do. `gate` is its only policy, if that can admit a call at once.
    """

    name: str
    matches: tuple[Match, ...]
    backends: Backends
    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    balancer: Balancer = Weighted()
    policies: tuple[Layer, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    reads_quota: bool = False
    matches_all: bool = False
    settles: bool = False
    gate: Gate | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "reads_quota", self.balancer.reads_quota)
        matches_all = any(not each.conditions and each.excluded is None for each in self.matches)
        force_setattr(self, "matches_all", matches_all)
        settles = any(getattr(policy, "settles", True) for policy in self.policies)
        is_admitted = any(backend.policy is not None for backend in self.backends)
        force_setattr(self, "settles", settles or is_admitted or bool(self.mirrors))
        is_alone = len(self.policies) == 1 and not (
            self.mirrors or self.backends.has_picker or is_admitted
        )
        is_gate = is_alone and hasattr(self.policies[0], "admit")
        force_setattr(self, "gate", self.policies[0] if is_gate else None)

    @property
    def upstreams(self) -> Iterator[Upstream]:
        """Every provider that its requests may go to, copies included."""
        yield from (backend.upstream for backend in self.backends)
        yield from (mirror.upstream for mirror in self.mirrors)

    def holds(self, request: ClientRequest) -> bool:
        """Return whether any match holds."""
        for match in self.matches:  # noqa: SIM110 - a generator takes longer than a match
            if match.holds(request):
                return True
        return False


class VirtualHost(msgspec.Struct, frozen=True):
    """A host name that the mesh serves.

    `route` names its LLMRoute, or its LLMProvider without one. `operation` finds the operation
    behind a client's path.
    """

    name: str
    route: str
    rules: tuple[RouteRule, ...]
    operation: Callable[[str], ServedOperation | None]

    def select(self, request: ClientRequest) -> RouteRule:
        """Return the first rule that holds.

        Raises:
            NoRouteMatched: no rule holds.
        """
        for rule in self.rules:
            if rule.matches_all or rule.holds(request):
                return rule
        raise NoRouteMatched(
            f"no rule of route {self.route!r} matches this request to {self.name!r}"
        )


class RoutingTable:
    """Virtual hosts by name: exact, then the longest `*.suffix`, then `*`.

    `models` are the names of models that the configuration knows.
    """

    __slots__ = ("_cache", "_exact", "_suffixes", "_wildcard", "hosts", "models")

    def __init__(
        self, hosts: Iterable[VirtualHost] = (), aliases: Mapping[str, str] | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        self.models = frozenset(_models(self.hosts))
        by_name = {host.name: host for host in self.hosts}
        self._wildcard = by_name.pop("*", None)
        suffixes = sorted(
            (name for name in by_name if name.startswith("*.")), key=len, reverse=True
        )
        self._suffixes = tuple((name[1:], by_name.pop(name)) for name in suffixes)
        self._exact = {alias: by_name[name] for alias, name in (aliases or {}).items()} | by_name
        self._cache: dict[bytes, VirtualHost | None] = {}

    def find(self, host: bytes) -> VirtualHost | None:
        """Find the virtual host that a raw Host value names, or None."""
        try:
            return self._cache[host]
        except KeyError:
            if len(host) > _MAX_CACHED_HOST:
                return self._find(normalise_host(host))
            if len(self._cache) >= _MAX_CACHED_HOSTS:
                self._cache.clear()
            found = self._cache[host] = self._find(normalise_host(host))
            return found

    def names(self, host: VirtualHost) -> frozenset[str]:
        """Return the names that lead to `host`: its own, and those that Kubernetes gives it."""
        return frozenset((host.name, *(name for name, each in self._exact.items() if each is host)))

    def _find(self, host: str | None) -> VirtualHost | None:
        if host is None:
            return None
        if host in self._exact:
            return self._exact[host]
        for suffix, virtual_host in self._suffixes:
            if host.endswith(suffix) and len(host) > len(suffix):
                return virtual_host
        return self._wildcard


def _models(hosts: Iterable[VirtualHost]) -> Iterator[str]:
    """Yield every model that the configuration names; only those are named in metrics."""
    for rule in (rule for host in hosts for rule in host.rules):
        for upstream in rule.upstreams:
            if upstream.model is not None:
                yield upstream.model
            yield from upstream.model_mapping
            yield from upstream.model_mapping.values()
            yield from upstream.rewrites or ()
        for match in rule.matches:
            for condition in match.conditions:
                if condition.kind == "model" and isinstance(condition.test, Exact):
                    yield condition.test.value
