"""Explain how a request would be routed, and why, without sending anything.

The objects that serve requests decide; this module only reports what they decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from math import isfinite
from typing import Any

from msgspec.structs import replace

from ...exceptions import AnswerableError, NoRouteMatched, UnsupportedField
from ..balance.backends import Backend
from ..balance.balancer import Balancer, Candidate
from ..balance.pooled import Pooled, adapter_of, server_score
from ..balance.scored import Scored
from ..balance.sticky import Sticky
from ..dialect import ServedOperation
from ..flow.attempts.plan import AttemptPlan
from ..flow.attempts.retrying import RetryBudget
from ..flow.mirrors.layer import may_be_copied
from ..flow.observer import Observation
from ..flow.own_replies import list_models
from ..flow.understanding import understand
from ..http.forwarding import ForwardPolicy
from ..provider.registry import HealthRegistry
from ..routing.matching import Condition, Match
from ..routing.naming import known_models
from ..routing.table import RouteRule, RoutingTable, VirtualHost
from ..values.messages import ClientRequest
from ..values.subject import read_subject
from .condition_text import condition_text
from .explanation import Explanation
from .findings import (
    BackendExplanation,
    MirrorExplanation,
    Refusal,
    RuleExplanation,
    ServerExplanation,
    StickyKey,
)
from .policies import policies_of
from .redaction import Mask, known_secrets
from .upstream_call import explain_call

__all__ = ["explain_request"]


def explain_request(
    table: RoutingTable,
    request: ClientRequest,
    *,
    forward: ForwardPolicy,
    secrets: Iterable[str] = (),
    health: HealthRegistry | None = None,
    now: float = 0.0,
    wall_now: float = 0.0,
) -> Explanation:
    """Explain how the routing table would route a request.

    Args:
        table: the routing table.
        request: the request; `host` is the host it calls. An empty method means the operation's.
        forward: selects the headers to forward.
        secrets: secrets to mask, in addition to the keys of the table.
        health: the health of the providers, for the scores of `balance`.
        now: the time on the clock of `health`.
        wall_now: the time of day, in seconds since the epoch.
    """
    mask = Mask((*known_secrets(table), *secrets))
    host = table.find(request.host.encode("utf-8", "replace"))
    if host is None:
        known = ", ".join(host.name for host in table.hosts) or "none"
        message = f"{request.host!r} is not a virtual host of this mesh; expected one of: {known}"
        refusal = Refusal(NoRouteMatched.status, NoRouteMatched.code, message)
        explained = Explanation(request.method or "POST", request.host, request.path)
        return _masked(explained, mask, refusal=refusal)
    if not request.method:
        operation = host.operation(request.path)
        request = replace(request, method=operation.method if operation else "POST")
    health = health or HealthRegistry(_NoLock)
    explainer = _Explainer(host, request, forward, mask, health, now, wall_now)
    return explainer.explain()


class _NoLock(nullcontext[None]):
    """Stands in for a lock: what is explained belongs to one thread."""

    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


def _masked(explained: Explanation, mask: Mask, **changes: Any) -> Explanation:
    masked: Explanation = mask.all(replace(explained, **changes))
    return masked


class _Explainer:
    """One request to one virtual host."""

    def __init__(
        self,
        host: VirtualHost,
        request: ClientRequest,
        forward: ForwardPolicy,
        mask: Mask,
        health: HealthRegistry,
        now: float,
        wall_now: float,
    ) -> None:
        self._host = host
        self._request = request
        self._forward = forward
        self._mask = mask
        self._health = health
        self._now = now
        self._wall_now = wall_now

    def explain(self) -> Explanation:
        """Collect the decisions, up to the point where the request would be refused."""
        host, request = self._host, self._request
        known: dict[str, Any] = {"virtual_host": host.name, "route": host.route}
        try:
            request, operation = understand(host, request, Observation())
            self._request = request
            known["operation"] = operation.name
            is_listed = operation.write_models is not None
            if is_listed and list_models(host, operation, request) is not None:
                known["models"] = known_models(host, request)
                return _masked(self._unexplained(), self._mask, **known)
            known["rules"] = self._rules()
            rule = host.select(request)
            known |= {"rule": rule.name, "retry": rule.retry, "timeouts": rule.timeouts}
            known["sticky"] = self._sticky(rule)
            known["policies"] = tuple(policies_of(rule, request, operation, self._wall_now))
            known["backends"] = backends = tuple(self._backends(rule, operation))
            known["mirrors"] = tuple(self._mirrors(rule, operation))
            refusals = [backend.refusal for backend in backends]
            if refusals and None not in refusals:
                raise UnsupportedField(str(refusals[0]))
        except AnswerableError as error:
            known["refusal"] = Refusal(error.status, error.code, error.message)
        return _masked(self._unexplained(), self._mask, **known)

    def _unexplained(self) -> Explanation:
        return Explanation(self._request.method, self._request.host, self._request.path)

    def _rules(self) -> tuple[RuleExplanation, ...]:
        explained: list[RuleExplanation] = []
        winner: str | None = None
        for rule in self._host.rules:
            reasons = tuple(self._reasons(rule))
            if not rule.holds(self._request):
                explained.append(RuleExplanation(rule.name, "skipped", reasons))
            elif winner is None:
                winner = rule.name
                explained.append(RuleExplanation(rule.name, "selected", reasons))
            else:
                earlier = (f"matches too, but {winner} comes first",)
                explained.append(RuleExplanation(rule.name, "skipped", earlier))
        return tuple(explained)

    def _reasons(self, rule: RouteRule) -> Iterator[str]:
        """List the conditions that hold, or everything that keeps the rule from matching."""
        for index, match in enumerate(rule.matches):
            if match.holds(self._request):
                held = ", ".join(condition_text(each, self._mask) for each in match.conditions)
                yield f"matches[{index}] holds: {held}" if held else "matches everything"
                return
        for index, match in enumerate(rule.matches):
            yield from (f"matches[{index}]{unmet}" for unmet in self._unmet(match))

    def _unmet(self, match: Match) -> Iterator[str]:
        if match.excluded is not None:
            yield f": {match.excluded}"
            return
        for condition in match.conditions:
            if not condition.holds(self._request):
                wanted = condition_text(condition, self._mask)
                yield f".{wanted}: the request has {self._actual(condition)}"

    def _actual(self, condition: Condition) -> str:
        value = read_subject(condition.kind, condition.key, self._request)
        if value is None:
            return "none"
        return self._mask.quoted(condition.key or condition.kind, value)

    def _sticky(self, rule: RouteRule) -> StickyKey | None:
        balancer = rule.balancer
        if not isinstance(balancer, Sticky):
            return None
        kind, name, value = balancer.kind, balancer.name, balancer.key(self._request)
        return StickyKey(f"{kind} {name}", self._mask.value(name, value) if value else value)

    def _servers(self, backend: Backend) -> tuple[ServerExplanation, ...]:
        """Explain the servers of a pool, as this process knows them."""
        if not backend.is_pool:
            return ()
        upstream, now = backend.upstream, self._now
        servers = [
            Candidate(backend, endpoint, self._health.of(upstream, endpoint))
            for endpoint in upstream.endpoints.now()
        ]
        adapter = adapter_of(servers, self._request, now)
        found = []
        for each in servers:
            state, load = each.health.server, each.health.server.load(now)
            found.append(
                ServerExplanation(
                    f"{each.endpoint.address}:{each.endpoint.port}",
                    each.health.is_available(now),
                    waiting=None if load is None else load.waiting,
                    running=None if load is None else load.running,
                    cache_used=None if load is None else load.cache_used,
                    score=server_score(each, adapter, now),
                    fault=state.fault or None,
                )
            )
        return tuple(found)

    def _mirrors(self, rule: RouteRule, operation: ServedOperation) -> Iterator[MirrorExplanation]:
        for mirror in rule.mirrors:
            upstream, obstacle = mirror.upstream, None
            if operation not in upstream.targets:
                obstacle = f"cannot serve {operation.suffix}"
            elif not may_be_copied(operation, self._request):
                obstacle = "such a request has effects, and is not copied"
            elif len(self._request.body) > mirror.max_body_bytes:
                obstacle = f"the body is longer than {mirror.max_body_bytes} bytes"
            model = None
            if obstacle is None:
                try:
                    model = upstream.transformer(self._request, operation).model
                except UnsupportedField as error:
                    obstacle = error.message
            yield MirrorExplanation(
                upstream.provider, upstream.host, model, mirror.percent, obstacle
            )

    def _scores(self, balancer: Balancer, tier: tuple[Backend, ...]) -> dict[int, float]:
        """Return the best score of an endpoint of each backend."""
        while isinstance(balancer, Sticky | Pooled):
            balancer = balancer.otherwise
        if not isinstance(balancer, Scored) or len(tier) < 2:
            return {}
        candidates = [
            Candidate(backend, endpoint, self._health.of(backend.upstream, endpoint))
            for backend in tier
            for endpoint in backend.upstream.endpoints.now()
        ]
        scores: dict[int, float] = {}
        found = balancer.scores(candidates, self._request, self._now)
        for each, (score, _) in zip(candidates, found, strict=True):
            if isfinite(score):
                scores[id(each.backend)] = min(score, scores.get(id(each.backend), score))
        return scores

    def _backends(
        self, rule: RouteRule, operation: ServedOperation
    ) -> Iterator[BackendExplanation]:
        """Explain the backends of each priority, as if every provider were healthy.

        Without a sticky key the shares are reported, and no backend is drawn.
        """
        balancer = rule.balancer
        is_kept = isinstance(balancer, Sticky) and balancer.key(self._request) is not None
        plan = AttemptPlan(
            rule.backends,
            rule.retry,
            operation=operation,
            health=HealthRegistry(_NoLock),
            budget=RetryBudget(),
            balancer=balancer,
            call=self._request,
            random=lambda: 0.0,
        )
        for tier in rule.backends.serving(operation):
            chosen = plan.untried(0.0, (tier,)) if is_kept else None
            total = sum(backend.weight for backend in tier)
            scores = self._scores(balancer, tier)
            for backend in tier:
                share = 1.0 if len(tier) == 1 else backend.weight / total
                is_choice = chosen is not None and backend is chosen.backend and len(tier) > 1
                explained = explain_call(
                    backend,
                    operation,
                    self._request,
                    forward=self._forward,
                    mask=self._mask,
                    share=share,
                    score=scores.get(id(backend)),
                    is_sticky_choice=is_choice,
                )
                yield replace(explained, servers=self._servers(backend))
