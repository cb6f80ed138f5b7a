"""`LLMPolicy` documents as limits and guards, and which of them hold where.

targets LLMRoute, a rule of one, or nothing     around the attempts of each rule
targets LLMProvider, or counts by provider      before each attempt at a backend

Guards see a whole call, so one for an LLMProvider is around each rule that may call it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._core.balance.backends import Backend
from .._core.guarding.guard import Guard
from .._core.limiting.bucket import Rate
from .._core.limiting.limit import Limit, Override, Part, Weights
from .._core.policy.cache import CachePolicy
from .._core.policy.guards import RequestGuards, ResponseGuards
from .._core.policy.limits import AttemptLimits, CallLimits
from .._core.routing.matching import Match
from .._manifest import Manifest, Resource
from .._schema.wording import suggest
from ..config import (
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
from .caches import compile_cache
from .guards import compile_guard
from .matches import Workload, compile_match

__all__ = ["Policies"]

_Path = tuple[str | int, ...]
_MINUTE_S = 60.0

_COUNTS = {
    "total": Weights(),
    "input": Weights(output=0, reasoning=0),
    "output": Weights(input=0, cache_read=0, cache_write=0),
    "uncached": Weights(cache_read=0),
}


@dataclass(frozen=True, slots=True)
class _Attached:
    """The items of one policy, and what they are for: no targets are the whole namespace."""

    namespace: str
    targets: tuple[TargetRef, ...]
    limits: tuple[Limit, ...]
    guards: tuple[Guard, ...] = ()
    resource: Resource | None = None
    cache: CacheItem | None = None
    cache_when: tuple[Match, ...] = ()

    def of_rule(self, route: Resource, rule: str) -> bool:
        if not self.targets:
            return route.namespace == self.namespace
        return any(
            _is_meant(target, route, self.namespace) and target.section_name in (None, rule)
            for target in self.targets
        )

    def rank(self, route: Resource, rule: str, providers: Container[str]) -> int | None:
        """Return how specific the targets are for a rule, None if they do not concern it."""
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
    """The policies of a manifest; `problems` has what is wrong with them."""

    def __init__(self, manifest: Manifest, workload: Workload) -> None:
        self.problems: list[Problem] = []
        self._manifest = manifest
        self._workload = workload
        resources = sorted(manifest.resources, key=lambda each: (each.namespace, each.name))
        self._attached = [
            self._attach(resource, resource.model)
            for resource in resources
            if isinstance(resource.model, LLMPolicy)
        ]

    def of_rule(
        self, route: Resource, rule: str, backends: Sequence[Backend]
    ) -> tuple[CachePolicy | CallLimits | RequestGuards | ResponseGuards, ...]:
        """Return the layers around the attempts of a rule; none if no policy concerns it.

        A rule whose attempts alone are limited gets one too: it has the call keep an account.
        """
        held = [each for each in self._attached if each.of_rule(route, rule)]
        limits = tuple(limit for each in held for limit in each.limits)
        whole = tuple(limit for limit in limits if not limit.is_of_attempts)
        is_limited = whole or any(backend.policy is not None for backend in backends)
        providers = {backend.upstream.provider for backend in backends}
        guards = [
            guard
            for each in self._attached
            if each in held or each.names_provider(providers)
            for guard in each.guards
        ]
        on_request = tuple(guard for guard in guards if "request" in guard.sides)
        on_response = tuple(guard for guard in guards if "response" in guard.sides)
        return (
            *([RequestGuards(on_request)] if on_request else ()),
            *([CallLimits(whole)] if is_limited else ()),
            *self._cache(route, rule, backends, guards),
            *([ResponseGuards(on_response)] if on_response else ()),
        )

    def of_backend(self, route: Resource, rule: str, provider: Resource) -> AttemptLimits | None:
        """Return what is asked before each attempt at a provider by a rule."""
        limits = [
            limit
            for each in self._attached
            for limit in each.limits
            if each.of_provider(provider) or (limit.is_of_attempts and each.of_rule(route, rule))
        ]
        return AttemptLimits(tuple(limits)) if limits else None

    def _attach(self, resource: Resource, policy: LLMPolicy) -> _Attached:
        for index, target in enumerate(policy.spec.target_refs):
            self._check_target(resource, target, ("spec", "targetRefs", index))
        limits = [
            limit
            for index, item in enumerate(policy.spec.limits)
            for limit in self._limits(resource, item, ("spec", "limits", index))
        ]
        guards = [
            guard
            for index, item in enumerate(policy.spec.guards)
            if (guard := self._guard(resource, item, ("spec", "guards", index))) is not None
        ]
        targets = policy.spec.target_refs
        cache = policy.spec.cache
        cache_when = tuple(
            self._match(resource, match, ("spec", "cache", "when", index))
            for index, match in enumerate(cache.when if cache is not None else ())
        )
        return _Attached(
            resource.namespace, targets, tuple(limits), tuple(guards), resource, cache, cache_when
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
            yield compile_cache(name, first.cache, first.cache_when, backends, guards)

    def _guard(self, resource: Resource, item: GuardItem, path: _Path) -> Guard | None:
        when = [
            self._match(resource, match, (*path, "when", index))
            for index, match in enumerate(item.when)
        ]
        return compile_guard(resource, item, when, path, self.problems)

    def _limits(self, resource: Resource, item: LimitItem, path: _Path) -> Iterator[Limit]:
        """Return a limit for each number of an item."""
        when = tuple(
            self._match(resource, match, (*path, "when", index))
            for index, match in enumerate(item.when)
        )
        overrides = [
            (override, self._match(resource, override.match, (*path, "overrides", index, "match")))
            for index, override in enumerate(item.overrides)
        ]

        def limit(kind: str, **fields: object) -> Limit:
            return Limit(
                f"{resource.namespace}/{resource.name}",
                item.name,
                kind,  # type: ignore[arg-type]
                tuple(map(_part, item.by)),
                when=when,
                overrides=tuple(_overrides(item, overrides, kind, is_rate="rate" in fields)),
                on_missing=item.on_missing or "share",
                on_store_failure=item.on_store_failure or "local",
                is_shadow=item.shadow,
                **fields,  # type: ignore[arg-type]
            )

        if item.concurrency is not None:
            yield limit("concurrency", slots=item.concurrency)
        if item.requests is not None:
            yield limit("requests", rate=_rate(item, item.requests))
        if item.tokens is not None:
            yield limit(
                "tokens",
                rate=_rate(item, item.tokens),
                rate_from=(item.tokens_from or "").partition(":")[2],
                weights=_weights(item),
                reserve=item.reserve or "auto",
            )

    def _match(self, resource: Resource, match: RouteMatch, path: _Path) -> Match:
        """Return the match; of gateways it names none but its own."""
        return compile_match(
            resource,
            match,
            path,
            workload=self._workload,
            route_gateways=tuple(self._workload.gateways),
            problems=self.problems,
        )


def _is_meant(target: TargetRef, resource: Resource, namespace: str) -> bool:
    return (target.kind, target.name, target.namespace or namespace) == (
        resource.model.kind,
        resource.name,
        resource.namespace,
    )


def _part(text: str) -> Part:
    kind, _, name = text.partition(":")
    return Part("attribute", "consumer") if kind == "consumer" else Part(kind, name)  # type: ignore[arg-type]


def _rate(item: LimitItem, amount: int) -> Rate:
    period_us = round((item.per or _MINUTE_S) * 1_000_000)
    return Rate(amount, period_us, item.burst or amount)


def _overrides(
    item: LimitItem,
    overrides: Iterable[tuple[LimitOverride, Match]],
    kind: str,
    *,
    is_rate: bool,
) -> Iterator[Override]:
    for override, match in overrides:
        amount: int | None = getattr(override, kind)
        if amount is None:
            continue
        if is_rate:
            burst = amount if item.burst is None else item.burst
            yield Override(match, Rate(amount, _rate(item, amount).period_us, burst))
        else:
            yield Override(match, slots=amount)


def _weights(item: LimitItem) -> Weights:
    if item.weights is None:
        return _COUNTS[item.count or "total"]
    stated = item.weights.model_dump(exclude_none=True)
    return Weights(**{name: round(1000 * weight) for name, weight in stated.items()})
