"""The gate of a rule, a single limit in memory: what it takes is settled on every path."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.attempts.retrying import RetryBudget
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.flow.reply import Flow
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.limiting.bucket import Rate
from llm_mesh_middleware._core.limiting.limit import Limit
from llm_mesh_middleware._core.policy.limits import call_limits
from llm_mesh_middleware._core.routing.table import RouteRule
from llm_mesh_middleware.stores import MemoryStore
from tests.core.tables import provider, request, route, table, virtual_host

MINUTE_US = 60_000_000
TOKENS = Limit(
    policy="default/team", name="one", kind="tokens", rate=Rate(60_000, MINUTE_US, 60_000)
)
KEY = TOKENS.key(())  # a gate admits only what has been admitted before
HOST = virtual_host(
    table(provider(), route("- backendRefs: [{providerHost: acme.example}]", host="chat"))
)
RULE = replace(HOST.rules[0], policies=(call_limits([TOKENS], ()),))


class Level:
    """A store whose clock stands still."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock_us=lambda: 1_000_000_000)

    @property
    def missing_us(self) -> int:
        return MINUTE_US - self.store.remaining_us(KEY, MINUTE_US)


class NoBudget(MeshState):
    """The state of a mesh that fails when the attempts are planned."""

    def budget(self, route: str) -> RetryBudget:
        raise LookupError(route)


def begun(rule: RouteRule, state: MeshState) -> Flow:
    return exchange(
        replace(HOST, rules=(rule,)),
        request("host: chat", path="/v1/chat/completions", body='{"model":"m","messages":[]}'),
        ExchangeSettings(),
        state,
        clock=lambda: 0.0,
        wall_clock=lambda: 0.0,
        random=lambda: 0.0,
        observation=Observation(),
    )


def test_only_a_limit_that_is_alone_is_a_gate() -> None:
    assert RULE.gate is RULE.policies[0]
    assert replace(RULE, policies=RULE.policies * 2).gate is None
    assert replace(RULE, policies=()).gate is None


def test_what_was_taken_is_given_back_if_the_attempts_cannot_be_planned() -> None:
    level = Level()
    with pytest.raises(LookupError):
        begun(RULE, NoBudget(threading.Lock, level.store))
    assert level.missing_us == 0


def test_what_was_taken_is_given_back_if_nobody_was_asked() -> None:
    level = Level()
    flow = begun(RULE, MeshState(threading.Lock, level.store))
    assert level.missing_us > 0
    next(flow)
    with pytest.raises(ConnectionError):
        flow.throw(ConnectionError())
    assert level.missing_us == 0


def test_a_call_that_the_client_leaves_is_settled_by_its_input() -> None:
    level = Level()
    flow: Any = begun(RULE, MeshState(threading.Lock, level.store))
    taken = level.missing_us
    next(flow)
    flow.close()
    assert 0 < level.missing_us < taken
