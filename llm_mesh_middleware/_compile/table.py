"""Compile all documents together: check for unique hosts, resolve references, order rules.

Problems of every document are collected; a table is made only if none is an error.

    LLMProvider ──> CompiledProvider    its keys and files are read once, for all rules
    LLMRoute ─────> RouteRule           matches for other workloads are marked, not dropped
                    VirtualHost         one for each host of a route, and for each provider
                                        without a route
                    RoutingTable        only if no problem is an error
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .. import config as models
from .._core.balance.backends import Backend, Backends
from .._core.private import Discreet
from .._core.provider.identity import ProviderIdentity
from .._core.provider.upstream import Upstream
from .._core.routing.matching import Match
from .._core.routing.mirror import Mirror
from .._core.routing.table import RouteRule, RoutingTable, VirtualHost
from .._core.routing.timeouts import Timeouts
from .._dialects.openai_chat import CHAT
from .._dialects.pairs import served_itself
from .._dialects.registry import OperationFinder
from .._manifest import Manifest, Resource
from .._process.files import FileVersion
from ..config import LLMProvider
from ..exceptions import Problem
from .matches import Workload, compile_match, in_gateways
from .on_demand import open_policies, open_pools
from .pricing.book import PriceBook, open_price_book
from .providers import CompiledProvider
from .rules import (
    compile_balancer,
    compile_mirror,
    compile_retry,
    compile_timeouts,
    mark_foreign_neighbours,
    mirrors_itself,
)

if TYPE_CHECKING:
    from ..config import BackendRef, LLMRoute
    from ..config import RouteRule as RuleConfig

__all__ = ["Compiled", "Workload", "compile_manifest", "explain_unserved"]

_Path = tuple[str | int, ...]


class Compiled(Discreet, frozen=True):
    """The result of compiling a manifest.

    Attributes:
        table: None if a problem is an error.
        problems: errors and warnings.
        files: the key and certificate files that the documents name, with the versions that were
            read. When one changes, the documents must be compiled again.
        may_be_cut: whether a file ends inside a line, as one that is still being written does.
    """

    shown: ClassVar[tuple[str, ...]] = ("table", "problems", "may_be_cut")

    table: RoutingTable | None
    problems: tuple[Problem, ...]
    files: Mapping[str, FileVersion] = msgspec.field(default_factory=dict)
    may_be_cut: bool = False


def compile_manifest(
    manifest: Manifest,
    workload: Workload,
    *,
    endpoints: Mapping[str, str],
    timeouts: Timeouts,
    environ: Mapping[str, str],
    prices: str = "none",
) -> Compiled:
    """Resolve a manifest for one workload.

    Args:
        manifest: the documents as read and applied, with the problems found so far.
        workload: this process, for selectors, source labels and gateways.
        endpoints: provider host -> base URL to connect to instead.
        timeouts: defaults for rules without timeouts.
        environ: where `apiKeyFrom.env` is looked up.
        prices: `LLM_MESH_PRICES`.
    """
    compiler = _Compiler(manifest, workload, timeouts)
    compiler.add_providers(endpoints, environ, open_price_book(prices))
    hosts = compiler.virtual_hosts()
    compiler.check_remnants()
    problems = (*manifest.problems, *compiler.problems, *compiler.policies.problems)
    del compiler.policies  # they ask the compiler: each reload would leave a cycle
    if any(problem.severity == "error" for problem in problems):
        return Compiled(None, problems, compiler.files)
    table = RoutingTable(hosts, compiler.aliases)
    return Compiled(table, problems, compiler.files, manifest.may_be_cut)


def explain_unserved(manifest: Manifest, workload: Workload) -> tuple[Problem, ...]:
    """Return for each document why this process does not serve it, for one that serves none."""
    return tuple(_unserved(resource, workload) for resource in manifest.resources)


def _unserved(resource: Resource, workload: Workload) -> Problem:
    if resource.model.kind == "LLMPolicy":
        return resource.problem((), "limits nothing that this process serves", severity="warning")
    if resource.model.kind == "LLMRoute":
        message = "names no gateway of this process (LLM_MESH_GATEWAYS)"
        return resource.problem(("spec", "gateways"), message)
    if not isinstance(resource.model, LLMProvider):
        return resource.problem((), "is named by no route that this process serves")
    reason = _not_selected(resource, resource.model, workload)
    return resource.problem(("spec", "workloadSelector"), f"is not for this process: {reason}")


def _not_selected(resource: Resource, provider: LLMProvider, workload: Workload) -> str | None:
    """Return why a provider is not for a workload, or None; a selector is for its namespace."""
    selector = provider.spec.workload_selector
    if selector is None:
        return None
    if resource.namespace != workload.namespace:
        return f"its workloadSelector is for namespace {resource.namespace!r} (LLM_MESH_NAMESPACE)"
    label = workload.lacks(selector.labels or {})
    return label and f"its workloadSelector wants the label {label} (LLM_MESH_LABELS)"


class _Compiler:
    def __init__(self, manifest: Manifest, workload: Workload, timeouts: Timeouts) -> None:
        self._manifest = manifest
        self._workload = workload
        self._timeouts = timeouts
        self._providers: dict[str, CompiledProvider] = {}
        self._elsewhere: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, FileVersion] = {}
        self.problems: list[Problem] = []

    def add_providers(
        self, endpoints: Mapping[str, str], environ: Mapping[str, str], prices: PriceBook
    ) -> None:
        self.problems += prices.problems
        self.files |= prices.files
        self._pools = open_pools(self._manifest, prices, self.files)
        self.problems += self._pools.problems if self._pools is not None else ()
        for resource in self._manifest.resources:
            if not isinstance(resource.model, LLMProvider):
                continue
            reason = _not_selected(resource, resource.model, self._workload)
            if reason is not None:
                self._elsewhere[resource.model.spec.host.lower().rstrip(".")] = reason
                continue
            provider = CompiledProvider(
                resource,
                endpoints=endpoints,
                environ=environ,
                prices=prices,
                secrets=self._manifest.secrets,
            )
            first = self._providers.setdefault(provider.host, provider)
            if first is not provider:
                self._complain(
                    resource,
                    ("spec", "host"),
                    f"host {provider.host!r} is also that of LLMProvider {first.resource.name!r}; "
                    "a host must be unique among providers",
                )
            self.problems += provider.problems
            self.files |= provider.files | self.files
        self.policies = open_policies(
            self._manifest, self._workload, self._asked, environ, self.problems, self.files
        )

    def virtual_hosts(self) -> list[VirtualHost]:
        hosts: dict[str, tuple[Resource, VirtualHost]] = {}
        rule_names = {name for each in self._manifest.remnants for name in each.rule_names}
        for resource in self._manifest.resources:
            if resource.model.kind != "LLMRoute":
                continue
            rule_names.update(rule.name for rule in resource.model.spec.rules if rule.name)
            if not self._concerns_us(resource, resource.model):
                continue
            host = self._route_host(resource, resource.model)
            first, _ = hosts.setdefault(host.name, (resource, host))
            if first is not resource:
                self._complain(
                    resource,
                    ("spec", "host"),
                    f"host {host.name!r} is already that of LLMRoute {first.name!r}; "
                    "put the rules into one route",
                )
        for provider in self._providers.values():
            self._warn_of_unknown_rules(provider, rule_names)
            if provider.host not in hosts:
                hosts[provider.host] = (provider.resource, self._direct_host(provider))
        for resource, host in hosts.values():
            self._add_aliases(resource, host.name)
        return [host for _, host in hosts.values()]

    def check_remnants(self) -> None:
        """Check the patterns and references of routes that have other faults."""
        for remnant in self._manifest.remnants:
            from .._core.routing.regex import LinearPattern

            for path, pattern in remnant.patterns:
                try:
                    LinearPattern(pattern)
                except ValueError as exc:
                    self.problems.append(remnant.problem(path, str(exc)))
            for path, text in remnant.provider_hosts:
                message = self._why_unknown(text.lower().rstrip("."))
                if message is not None:
                    self.problems.append(remnant.problem(path, message))

    def _concerns_us(self, resource: Resource, route: LLMRoute) -> bool:
        """Return whether the route, or a match's override, names a gateway of this process."""
        named = [route.spec.gateways]
        named += [
            match.gateways for rule in route.spec.rules for match in rule.matches if match.gateways
        ]
        return any(in_gateways(self._workload, gateways, resource.namespace) for gateways in named)

    def _route_host(self, resource: Resource, route: LLMRoute) -> VirtualHost:
        rules = []
        for index, rule in enumerate(route.spec.rules):
            path: _Path = ("spec", "rules", index)
            matches = self._matches(resource, rule, path, route.spec.gateways)
            backends = self._backends(resource, rule, path)
            if backends:
                name = rule.name or f"rules[{index}]"
                rules.append(
                    RouteRule(
                        name,
                        matches,
                        Backends(backends),
                        compile_timeouts(rule.timeouts, self._timeouts),
                        compile_retry(rule.retry),
                        compile_balancer(rule),
                        self.policies.of_rule(resource, rule.name or "", backends),
                        tuple(self._mirrors(resource, rule, path, backends)),
                    )
                )
        return _virtual_host(route.spec.host.lower().rstrip("."), resource.name, tuple(rules))

    def _matches(
        self, resource: Resource, rule: RuleConfig, path: _Path, gateways: tuple[str, ...] | None
    ) -> tuple[Match, ...]:
        """Compile the matches; none means one match for everything from the route's gateways."""
        return tuple(
            compile_match(
                resource,
                match,
                (*path, "matches", index),
                workload=self._workload,
                route_gateways=gateways,
                problems=self.problems,
            )
            for index, match in enumerate(rule.matches or (models.RouteMatch(),))
        )

    def _backends(self, resource: Resource, rule: RuleConfig, path: _Path) -> list[Backend]:
        """Return the backends that can be resolved; an unknown provider is a problem."""
        weighted = {ref.priority for ref in rule.backend_refs if ref.weight is not None}
        backends = []
        seen: Counter[ProviderIdentity] = Counter()
        for index, ref in enumerate(rule.backend_refs):
            place = (*path, "backendRefs", index)
            target = self._target(resource, ref, rule.name, place)
            if target is not None:
                upstream, owner = target
                weight = ref.weight or 0 if ref.priority in weighted else 1
                policy = self.policies.of_backend(resource, rule.name or "", owner, upstream)
                is_pool = ref.backend_ref is not None
                occurrence = seen[upstream.identity]
                backends.append(
                    Backend(upstream, weight, ref.priority, policy, is_pool, occurrence)
                )
                seen[upstream.identity] += 1
        # If some are missing there will be no table, and the remaining weights may add up to 0.
        return backends if len(backends) == len(rule.backend_refs) else []

    def _mirrors(
        self, resource: Resource, rule: RuleConfig, path: _Path, backends: list[Backend]
    ) -> Iterator[Mirror]:
        for index, config in enumerate(rule.mirrors):
            place = (*path, "mirrors", index)
            provider = self._provider(resource, config.provider_host, place)
            if provider is None:
                continue
            upstream = provider.upstream(rule.name, model=config.model)
            if mirrors_itself(upstream, backends):
                message = "is a backend of this rule with the same model: it would mirror itself"
                self._complain(resource, (*place, "providerHost"), message)
            yield compile_mirror(config, upstream)

    def _direct_host(self, provider: CompiledProvider) -> VirtualHost:
        """Return the virtual host of a provider without a route: its own, as in ASM's example."""
        resource = provider.resource
        upstream = provider.upstream()
        policy = self.policies.of_backend(resource, "", resource, upstream)
        backends = Backends([Backend(upstream, 1, policy=policy)])
        rule = RouteRule(
            "default",
            (Match(),),
            backends,
            self._timeouts,
            policies=self.policies.of_rule(resource, "", tuple(backends)),
        )
        return _virtual_host(provider.host, resource.name, (rule,))

    def _target(
        self, resource: Resource, ref: BackendRef, rule: str | None, path: _Path
    ) -> tuple[Upstream, Resource] | None:
        """Return the upstream of a reference, and the document that policies target."""
        if ref.backend_ref is not None and self._pools is not None:
            target = self._pools.target(ref, ref.backend_ref, rule, resource.namespace)
            if isinstance(target[1], str):
                self._complain(resource, (*path, "backendRef", *target[0]), target[1])
                return None
            return target
        provider = self._provider(resource, ref.provider_host or "", path)
        if provider is None:
            return None
        upstream = provider.upstream(rule, model=ref.model, host_rewrite=ref.host_rewrite)
        return upstream, provider.resource

    def _provider(self, resource: Resource, host: str, path: _Path) -> CompiledProvider | None:
        host = host.lower().rstrip(".")
        message = self._why_unknown(host)
        if message is not None:
            self._complain(resource, (*path, "providerHost"), message)
        return self._providers.get(host)

    def _asked(self, host: str, model: str | None) -> Upstream | str:
        """Return the provider that a guard or a cache asks, or an error message."""
        provider = self._providers.get(host)
        if provider is None:
            return self._why_unknown(host) or f"the LLMProvider of {host!r} has errors itself"
        return provider.upstream(model=model)

    def _why_unknown(self, host: str) -> str | None:
        if host in self._providers or host in self._manifest.broken_hosts:
            return None
        reason = self._elsewhere.get(host)
        if reason:
            return f"provider {host!r} is not for this workload: {reason}"
        known = ", ".join(sorted(self._providers)) or "none"
        return f"no LLMProvider has the host {host!r}; known hosts: {known}"

    def _warn_of_unknown_rules(self, provider: CompiledProvider, rule_names: set[str]) -> None:
        for name in provider.rule_names:
            if name not in rule_names:
                self.problems.append(
                    provider.resource.problem(
                        ("spec", "configs", "routeSpecificConfigs", name),
                        f"no rule of any LLMRoute is named {name!r}, so this is never used",
                        severity="warning",
                    )
                )

    def _add_aliases(self, resource: Resource, host: str) -> None:
        """Make a short name reachable by the DNS names of a Kubernetes Service."""
        if "." in host or host == "*":
            return
        for tail in ("", ".svc", ".svc.cluster.local"):
            self.aliases[f"{host}.{resource.namespace}{tail}"] = host

    def _complain(self, resource: Resource, path: _Path, message: str) -> None:
        self.problems.append(resource.problem(path, message))


def _virtual_host(name: str, route: str, rules: tuple[RouteRule, ...]) -> VirtualHost:
    upstreams = [backend.upstream for rule in rules for backend in rule.backends]
    own = {
        target.partition("?")[0]: operation
        for upstream in upstreams
        for operation, target in upstream.targets.items()
        if operation in served_itself(upstream)
    }
    speaks_chat = not upstreams or any(CHAT in served_itself(one) for one in upstreams)
    root = CHAT if speaks_chat else next(iter(upstreams[0].targets), CHAT)
    return VirtualHost(name, route, mark_foreign_neighbours(rules), OperationFinder(own, root).find)
