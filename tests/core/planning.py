"""A plan of attempts, driven by hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping

from llm_mesh_middleware._core.balance.sticky import Sticky
from llm_mesh_middleware._core.balance.weighted import Weighted
from llm_mesh_middleware._core.flow.attempts.outcome import Outcome
from llm_mesh_middleware._core.flow.attempts.plan import AttemptPlan, Choice
from llm_mesh_middleware._core.flow.attempts.retrying import RetryBudget
from llm_mesh_middleware._core.provider.health import ProviderHealth
from llm_mesh_middleware._core.provider.outliers import Result
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy
from llm_mesh_middleware._core.routing.table import RouteRule
from llm_mesh_middleware._core.values.operations import Operation
from llm_mesh_middleware._dialects.openai_chat import CHAT
from llm_mesh_middleware.exceptions import (
    UpstreamError,
)
from tests.core.health import health_of
from tests.core.tables import request
from tests.resilience.meshes import HOST, provider, route, table

NOW = 100.0


class Plan:
    """A plan for backends written `a b | c`: two of priority 0, one of priority 1."""

    def __init__(
        self,
        tiers: str,
        *,
        retry: RetryPolicy | None = None,
        budget: RetryBudget | None = None,
        chance: float | None = 0.0,
        key: str | None = None,
        operation: Operation = CHAT,
        specs: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.rule = rule(tiers, specs)
        self.health = HealthRegistry(threading.Lock)
        self.plan = AttemptPlan(
            self.rule.backends,
            retry or RetryPolicy(attempts=9),
            operation=operation,
            health=self.health,
            budget=budget or generous(),
            balancer=Weighted() if key is None else Sticky("attribute", "user"),
            call=request(attributes={"user": key or ""}),
            random=random.Random(3).random if chance is None else lambda: chance,
        )

    def of(self, name: str) -> ProviderHealth:
        return next(
            health_of(self.health, b.upstream)
            for b in self.rule.backends
            if b.upstream.provider == name
        )

    def eject(self, *names: str, at: float = NOW, result: Result = "failure") -> None:
        for name in names:
            for _ in range(5):
                lease = self.of(name).lease(at)
                assert lease is not None
                lease.end(result, at)

    def succeed(self, name: str, at: float = NOW) -> None:
        lease = self.of(name).lease(at)
        assert lease is not None
        lease.end("success", at)

    def order(self, *outcomes: Outcome, now: float = NOW) -> list[str]:
        """The providers in the order in which these outcomes have them tried; `~` after a pause."""
        choice: Choice | None = self.plan.first(now)
        names = []
        for outcome in (*outcomes, None):
            if choice is None:
                break
            names.append(("~" if choice.pause_s else "") + choice.backend.upstream.provider)
            self.plan.tries(choice.candidate)
            choice = None if outcome is None else self.plan.after(choice, outcome, now)
        return names


def rule(tiers: str, specs: Mapping[str, Mapping[str, object]] | None = None) -> RouteRule:
    """`a:3 b:1 | c`: weights stand behind colons."""
    refs: list[dict[str, object]] = []
    names = []
    for priority, tier in enumerate(tiers.split("|")):
        for word in tier.split():
            name, _, weight = word.partition(":")
            names.append(name)
            ref: dict[str, object] = {"providerHost": f"{name}.example", "priority": priority}
            refs.append(ref | ({"weight": int(weight)} if weight else {}))
    specs = specs or {}
    documents = [provider(name, None, **specs.get(name, {})) for name in names]
    host = table(*documents, route(*refs)).find(HOST.encode())
    assert host is not None
    return host.rules[0]


def generous() -> RetryBudget:
    return RetryBudget(share=1.0, reserve=1000)


def answer(status: int, wish_s: float | None = None, *reasons: str) -> Outcome:
    return Outcome(status, [], retry_after_s=wish_s, reasons=frozenset(reasons))


def failure(error: UpstreamError) -> Outcome:
    return Outcome(error.status, [], error=error)


DOWN = answer(503)
