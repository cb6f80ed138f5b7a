"""`LLMPolicy` documents as limits, budgets, guards and caches of rules and backends.

targets LLMRoute, a rule of one, or nothing     around the attempts of each rule
targets LLMProvider, or counts by provider      before each attempt at a backend

Guards see a whole call, so one for an LLMProvider is around each rule that may call it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from .._core.balance.backends import Backend
from .._core.flow.call import CallPolicy
from .._core.guarding.guard import Guard
from .._core.guarding.remote.verdict import RemoteGuard
from .._core.guarding.shape import SchemaGuard
from .._core.limiting.budget import Budget
from .._core.limiting.item import Item
from .._core.policy.cache import CachePolicy, Semantic
from .._core.policy.guards import (
    ConcurrentRequestGuards,
    RemoteRequestGuards,
    RemoteResponseGuards,
    RequestGuards,
    ResponseGuards,
    ShapeGuards,
)
from .._core.policy.limits import AttemptLimits, ServiceLimit, ServiceLimits, call_limits
from .._core.provider.upstream import Upstream
from .._core.routing.matching import Match
from .._core.side_calls.service import Service
from .._manifest import Manifest, Resource
from .._schema.wording import suggest
from ..config import (
    BudgetItem,
    BudgetOverride,
    CacheItem,
    GuardItem,
    LimitItem,
    LimitOverride,
    LLMPolicy,
    LLMProvider,
    LLMRoute,
    RouteMatch,
    TargetRef,
)
from ..exceptions import Problem
from .caching.caches import compile_cache, unscoped
from .caching.semantic import compile_semantic
from .guarding.guards import compile_guard
from .guarding.inspectors import Inspectors
from .limiting.budgets import compile_budget, uncounted
from .limiting.limits import compile_limits
from .matches import Workload, compile_match
from .side_calls.services import compile_service, compile_service_limit

__all__ = ["Policies"]

_Path = tuple[str | int, ...]
_AnyGuard = Guard | RemoteGuard | SchemaGuard


class _Attached(msgspec.Struct, frozen=True):
    """The items of one policy, and its targets; without any it is for the whole namespace."""

    namespace: str
    targets: tuple[TargetRef, ...]
    items: tuple[Item, ...]
    guards: tuple[_AnyGuard, ...] = ()
    resource: Resource | None = None
    cache: CacheItem | None = None
    cache_when: tuple[Match, ...] = ()
    semantic: Semantic | None = None
    cache_service: Service | None = None
    services: tuple[ServiceLimit, ...] = ()

    def of_rule(self, route: Resource, rule: str) -> bool:
        if not self.targets:
            return route.namespace == self.namespace
        return any(
            _is_meant(target, route, self.namespace) and target.section_name in (None, rule)
            for target in self.targets
        )

    def rank(self, route: Resource, rule: str, providers: Container[str]) -> int | None:
        """Return how specific it is for a rule, from 0 (its namespace) to 3 (itself), or None."""
        meant = [each for each in self.targets if _is_meant(each, route, self.namespace)]
        if any(each.section_name == rule for each in meant if each.section_name is not None):
            return 3
        if any(each.section_name is None for each in meant):
            return 2
        if self.names_provider(providers):
            return 1
        return 0 if not self.targets and route.namespace == self.namespace else None

    def names_provider(self, names: Container[str]) -> bool:
        return any(each.kind == "LLMProvider" and each.name in names for each in self.targets)

    def of_provider(self, provider: Resource) -> bool:
        return any(_is_meant(target, provider, self.namespace) for target in self.targets)


class Policies:
    """The policies of a manifest; `problems` has their errors."""

    def __init__(self, manifest: Manifest, workload: Workload, inspectors: Inspectors) -> None:
        self.problems: list[Problem] = []
        self._inspectors = inspectors
        self._manifest = manifest
        self._workload = workload
        self._places: dict[tuple[str, str], tuple[Resource, _Path]] = {}
        resources = sorted(manifest.resources, key=lambda each: (each.namespace, each.name))
        self._attached = [
            self._attach(resource, resource.model)
            for resource in resources
            if isinstance(resource.model, LLMPolicy)
        ]

    def of_rule(
        self, route: Resource, rule: str, backends: Sequence[Backend]
    ) -> tuple[CallPolicy, ...]:
        """Return the layers around the attempts of a rule, the outermost first.

        A rule of which only the attempts are limited gets `CallLimits` too, which settles them.
        """
        held = [each for each in self._attached if each.of_rule(route, rule)]
        items = [item for each in held for item in each.items if not item.is_of_attempts]
        providers = {backend.upstream.provider for backend in backends}
        guards = [
            guard
            for each in self._attached
            if each in held or each.names_provider(providers)
            for guard in each.guards
        ]
        local = [guard for guard in guards if isinstance(guard, Guard)]
        asking = [guard for guard in guards if isinstance(guard, RemoteGuard)]
        shaping = tuple(guard for guard in guards if isinstance(guard, SchemaGuard))
        others = [*(each.guard for each in asking), *(each.guard for each in shaping)]
        cache = tuple(self._cache(route, rule, backends, [*local, *others]))
        services = tuple(service for each in held for service in each.services)
        early, late = _split(items) if cache else (items, [])
        is_limited = early or any(backend.policy is not None for backend in backends)
        upstreams = tuple(backend.upstream for backend in backends)
        return (
            *_guards(RequestGuards, "request", local),
            *([call_limits(early, upstreams)] if is_limited else ()),
            *_guards(RemoteRequestGuards, "request", [g for g in asking if not g.is_concurrent]),
            *cache,
            *([call_limits(late, upstreams)] if late else ()),
            *([ServiceLimits(services)] if services else ()),
            *_guards(ConcurrentRequestGuards, "request", [g for g in asking if g.is_concurrent]),
            *_guards(RemoteResponseGuards, "response", asking),
            *_guards(ResponseGuards, "response", local),
            *([ShapeGuards(shaping)] if shaping else ()),
        )

    def of_backend(
        self, route: Resource, rule: str, provider: Resource, upstream: Upstream
    ) -> AttemptLimits | None:
        """Return the limits of each attempt of a rule at a provider, or None."""
        items = [
            item
            for each in self._attached
            for item in each.items
            if each.of_provider(provider) or (item.is_of_attempts and each.of_rule(route, rule))
        ]
        budgets = [
            item
            for each in self._attached
            for item in each.items
            if isinstance(item, Budget)
            and (each.of_provider(provider) or each.of_rule(route, rule))
        ]
        self._check_currencies(budgets, upstream)
        priced = tuple(budget for budget in budgets if budget.is_for_priced_only)
        if not (items or priced):
            return None
        return AttemptLimits(tuple(map(_of_attempt, items)), (upstream,), priced)

    def _check_currencies(self, budgets: Sequence[Budget], upstream: Upstream) -> None:
        """Report costs that no budget counts, as they would be spent unnoticed."""
        if not budgets:
            return
        resource, path = self._places[budgets[0].policy, budgets[0].name]
        for provider, model, currency in uncounted([upstream], [each.currency for each in budgets]):
            about = f"model {model!r} of" if model else "the models of"
            about = f"{about} LLMProvider {provider!r}"
            if currency is None:
                message = f"no price is known of {about}, so its cost does not count; add one to"
                problem = resource.problem(path, f"{message} its spec.prices", "warning")
            else:
                message = f"{about} cost {currency}, which no budget for it counts; add one"
                problem = resource.problem(path, f"{message} in {currency} or narrow targetRefs")
            if problem not in self.problems:
                self.problems.append(problem)

    def _attach(self, resource: Resource, policy: LLMPolicy) -> _Attached:
        for index, target in enumerate(policy.spec.target_refs):
            self._check_target(resource, target, ("spec", "targetRefs", index))
        items = tuple(self._counting(resource, policy))
        guards = [
            guard
            for index, item in enumerate(policy.spec.guards)
            if (guard := self._guard(resource, item, ("spec", "guards", index))) is not None
        ]
        targets = policy.spec.target_refs
        cache = policy.spec.cache
        if cache is not None and (message := unscoped(cache, self._workload)) is not None:
            self.problems.append(resource.problem(("spec", "cache"), message))
        cache_when = tuple(
            self._match(resource, match, ("spec", "cache", "when", index))
            for index, match in enumerate(cache.when if cache is not None else ())
        )
        semantic = None
        if cache is not None and cache.semantic is not None:
            find = self._inspectors.find
            semantic = compile_semantic(resource, cache.semantic, find, self.problems)
        service = None if cache is None else cache.service
        return _Attached(
            resource.namespace,
            targets,
            items,
            tuple(guards),
            resource,
            cache,
            cache_when,
            semantic,
            None if service is None else compile_service(service),
            tuple(self._served(resource, policy)),
        )

    def _check_target(self, resource: Resource, target: TargetRef, path: _Path) -> None:
        manifest, namespace = self._manifest, target.namespace or resource.namespace
        kind = LLMRoute if target.kind == "LLMRoute" else LLMProvider
        of_kind = [each for each in manifest.resources if isinstance(each.model, kind)]
        known = [each.name for each in of_kind if each.namespace == namespace]
        if target.name not in known:
            # A faulty document has become no resource; its own fault is reported.
            if not (manifest.remnants or manifest.broken_hosts):
                advice = suggest(target.name, known) if known else "there is none"
                message = f"no {target.kind} {target.name!r} in namespace {namespace!r}; {advice}"
                self.problems.append(resource.problem((*path, "name"), message))
            return
        (found,) = (each for each in of_kind if _is_meant(target, each, resource.namespace))
        if target.section_name is None or not isinstance(found.model, LLMRoute):
            return
        rules = [rule.name for rule in found.model.spec.rules if rule.name is not None]
        if target.section_name not in rules:
            advice = suggest(target.section_name, rules) if rules else "its rules have no names"
            message = f"no rule of LLMRoute {target.name!r} is named {target.section_name!r}"
            self.problems.append(resource.problem((*path, "sectionName"), f"{message}; {advice}"))

    def _cache(
        self, route: Resource, rule: str, backends: Sequence[Backend], guards: Sequence[Guard]
    ) -> Iterator[CachePolicy]:
        """Yield the cache of the most specific policy that has one for the rule."""
        providers = {backend.upstream.provider for backend in backends}
        ranked = [
            (rank, each)
            for each in self._attached
            if each.cache is not None and (rank := each.rank(route, rule, providers)) is not None
        ]
        if not ranked:
            return
        highest = max(rank for rank, _ in ranked)
        first, *others = (each for rank, each in ranked if rank == highest)
        for other in others:
            if other.resource is not None and first.resource is not None:
                message = f"LLMPolicy {first.resource.name!r} has a cache for the same rule too"
                problem = other.resource.problem(("spec", "cache"), message)
                if problem not in self.problems:
                    self.problems.append(problem)
        if first.cache is not None and first.resource is not None:
            name = f"{first.resource.namespace}/{first.resource.name}"
            where = route.namespace, route.name, rule
            yield compile_cache(
                name,
                where,
                first.cache,
                first.cache_when,
                backends,
                guards,
                first.semantic,
                first.cache_service,
            )

    def _guard(self, resource: Resource, item: GuardItem, path: _Path) -> _AnyGuard | None:
        when = [
            self._match(resource, match, (*path, "when", index))
            for index, match in enumerate(item.when)
        ]
        return compile_guard(resource, item, when, path, self.problems, self._inspectors)

    def _counting(self, resource: Resource, policy: LLMPolicy) -> Iterator[Item]:
        """Yield the limits and budgets of a policy."""
        title = f"{resource.namespace}/{resource.name}"
        for index, limit in enumerate(policy.spec.limits):
            when, matches = self._conditions(resource, limit, ("spec", "limits", index))
            if limit.service is None:
                yield from compile_limits(title, limit, when, matches)
        for index, budget in enumerate(policy.spec.budgets):
            path = ("spec", "budgets", index)
            when, matches = self._conditions(resource, budget, path)
            self._places[title, budget.name] = resource, (*path, "currency")
            yield compile_budget(title, budget, when, matches)

    def _served(self, resource: Resource, policy: LLMPolicy) -> Iterator[ServiceLimit]:
        """Yield the limits of a policy that services count."""
        title = f"{resource.namespace}/{resource.name}"
        for index, limit in enumerate(policy.spec.limits):
            if limit.service is None:
                continue
            path = ("spec", "limits", index)
            if any(target.kind == "LLMProvider" for target in policy.spec.target_refs):
                message = "holds for LLMRoutes only: it is asked before a provider is chosen"
                self.problems.append(resource.problem((*path, "service"), message))
            when, _ = self._conditions(resource, limit, path)
            yield compile_service_limit(title, limit, when, limit.service)

    def _conditions(
        self, resource: Resource, item: LimitItem | BudgetItem, path: _Path
    ) -> tuple[tuple[Match, ...], list[Match]]:
        """Return the conditions of an item, and those of its overrides."""
        when = tuple(
            self._match(resource, match, (*path, "when", index))
            for index, match in enumerate(item.when)
        )
        overrides: Iterable[LimitOverride | BudgetOverride] = item.overrides
        matches = [
            self._match(resource, override.match, (*path, "overrides", index, "match"))
            for index, override in enumerate(overrides)
        ]
        return when, matches

    def _match(self, resource: Resource, match: RouteMatch, path: _Path) -> Match:
        """Compile a match, which holds for all of the workload's gateways unless it names some."""
        return compile_match(
            resource,
            match,
            path,
            workload=self._workload,
            route_gateways=tuple(self._workload.gateways),
            problems=self.problems,
        )


_Made = TypeVar("_Made", Guard, RemoteGuard)


def _guards(
    layer: Callable[[tuple[_Made, ...]], CallPolicy], side: str, guards: Sequence[_Made]
) -> Iterator[CallPolicy]:
    """Yield the layer of the guards that check requests, or responses, if there are any."""
    held = tuple(
        each for each in guards if side in (each if isinstance(each, Guard) else each.guard).sides
    )
    if held:
        yield layer(held)


def _is_meant(target: TargetRef, resource: Resource, namespace: str) -> bool:
    return (target.kind, target.name, target.namespace or namespace) == (
        resource.model.kind,
        resource.name,
        resource.namespace,
    )


def _split(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Return the items to check before the cache, and those for calls that it does not answer."""
    late = [item for item in items if item.kind in ("tokens", "budget")]
    return [item for item in items if item not in late], late


def _of_attempt(item: Item) -> Item:
    """Return the item of an attempt: its fallback is a denial, which sends the call elsewhere."""
    if isinstance(item, Budget) and item.on_exceeded == "fallback":
        return replace(item, on_exceeded="deny")
    return item
