"""Budgets: what calls cost is counted, and who is refused, warned or sent elsewhere beyond them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.stores import MemoryStore
from llm_mesh_middleware.testing import (
    Answer,
    Gate,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)
from tests.contract.calling import QUESTION, Ask
from tests.contract.conftest import World, rule
from tests.resilience.meshes import FALLBACK, PRIMARY
from tests.waiting import until

NANO = 10**9
YEAR_US = 8760 * 3600 * 10**6
# 1 USD a token of output, so that what a call has cost can be read off.
PRICES = {"prices": [{"perMillion": {"input": "0", "output": "1000000"}}]}
WHOLE = Answer(body=chat_completion("hello", usage=token_usage(40, 60)))
EVENTS = chat_stream(["Good ", "morning"], usage=token_usage(40, 60), include_usage=True)
STREAMED = QUESTION | {"stream": True}


def policy(
    *, targets: list[dict[str, str]] | None = None, limits: Any = (), **budget: Any
) -> LLMPolicy:
    item = {"name": "money", "per": "year", "amount": 150, "reserve": "none", **budget}
    spec = {"budgets": [item], "limits": list(limits), "targetRefs": targets or []}
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def spent(store: MemoryStore, year: int | None = None) -> float:
    """Return what is spent of the budget without `by`."""
    return store.spent(key(year)) / NANO


def key(year: int | None = None) -> str:
    return f"{{default/team/money}}:m:{year or datetime.now(UTC).year}"


def start(world: World, store: MemoryStore, *rules: Any, **budget: Any) -> None:
    policies = [policy(**budget)]
    world.start(*rules, spec=PRICES, policies=policies, store=store)


def test_a_budget_that_is_used_up_refuses_and_says_not_to_retry(
    world: World, store: MemoryStore
) -> None:
    world.primary.always(WHOLE)
    start(world, store)
    assert [world.ask().status for _ in range(3)] == [200, 200, 200]
    until(lambda: spent(store) == 180)
    refused = world.ask()
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert "150" not in refused.json()["error"]["message"]
    assert len(world.primary.requests) == 3


def test_a_stream_is_charged_at_its_end(world: World, store: MemoryStore) -> None:
    world.primary.always(Stream(EVENTS))
    start(world, store)
    assert world.ask(STREAMED).status == 200
    until(lambda: (spent(store), store.reserved(key())) == (60, 0))


def test_money_is_reserved_while_calls_are_in_flight(world: World, store: MemoryStore) -> None:
    gate = Gate()
    world.primary.always(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    start(world, store, reserve="max", amount=4000)
    stream = world.call(Ask(STREAMED | {"max_tokens": 70})).pieces()
    next(stream)
    assert store.reserved(key()) == 70 * NANO
    gate.open()
    b"".join(stream)
    until(lambda: (spent(store), store.reserved(key())) == (60, 0))


def test_a_caller_that_leaves_in_mid_stream_leaves_nothing_reserved(
    world: World, store: MemoryStore
) -> None:
    gate = Gate()
    world.primary.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    start(world, store, reserve="max", amount=4000)
    call = world.call(Ask(STREAMED | {"max_tokens": 70}))
    next(call.pieces())
    call.leave()
    gate.open()
    until(lambda: store.reserved(key()) == 0)
    assert 0 < spent(store) <= 60


def test_beyond_a_budget_that_falls_back_the_next_priority_serves(
    world: World, store: MemoryStore
) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(WHOLE)
    start(world, store, rule("only", PRIMARY, FALLBACK), onExceeded="fallback", amount=60)
    providers = [world.ask().headers["x-llm-mesh-provider"] for _ in range(3)]
    assert providers == ["primary", "fallback", "fallback"]


def test_where_there_is_no_next_priority_a_budget_that_falls_back_refuses(
    world: World, store: MemoryStore
) -> None:
    world.primary.always(WHOLE)
    start(world, store, onExceeded="fallback", amount=60)
    assert [world.ask().status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("fields", [{"onExceeded": "warn"}, {"shadow": True}])
def test_a_budget_may_refuse_nobody_and_counts_on(
    world: World, store: MemoryStore, fields: dict[str, Any]
) -> None:
    world.primary.always(WHOLE)
    start(world, store, amount=60, **fields)
    assert [world.ask().status for _ in range(3)] == [200, 200, 200]
    until(lambda: spent(store) == 180)


@pytest.mark.parametrize("has_prices", [True, False])
def test_a_billed_failure_and_the_fallback_both_cost(
    world: World, store: MemoryStore, has_prices: bool
) -> None:
    counted = json.dumps({"choices": [], "usage": token_usage(40, 5)})
    broken = json.dumps(error_body("overloaded", code="503"))
    events = f"data: {counted}\n\ndata: {broken}\n\n".encode()
    world.primary.always(Answer(200, [("content-type", "text/event-stream")], events))
    world.fallback.always(Stream(EVENTS))
    policies = [policy(limits=[{"name": "tpm", "tokens": 100_000, "per": "8760h"}])]
    both = {"spec": PRICES, "fallback_spec": PRICES} if has_prices else {}
    world.start(rule("only", PRIMARY, FALLBACK), policies=policies, store=store, **both)
    assert world.ask(STREAMED).status == 200
    until(lambda: spent(store) == (65 if has_prices else 0))

    def used() -> int:
        remaining_us = store.remaining_us("{default/team/tpm}:t", YEAR_US)
        return round((YEAR_US - remaining_us) * 100_000 / YEAR_US)

    until(lambda: used() == 145)  # tokens of both attempts


def test_a_budget_of_a_provider_sends_requests_to_another(world: World, store: MemoryStore) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(WHOLE)
    targets = [{"kind": "LLMProvider", "name": "primary"}]
    start(world, store, rule("only", PRIMARY, FALLBACK), targets=targets, amount=100)
    providers = [world.ask().headers["x-llm-mesh-provider"] for _ in range(4)]
    assert providers == ["primary", "primary", "fallback", "fallback"]
    until(lambda: spent(store) == 120)


def test_models_without_a_price_may_be_denied(world: World, store: MemoryStore) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(WHOLE)
    start(world, store, rule("only", FALLBACK, PRIMARY | {"priority": 2}), unpriced="deny")
    assert world.ask().headers["x-llm-mesh-provider"] == "primary"


def test_if_no_backend_has_a_price_the_client_is_told(world: World, store: MemoryStore) -> None:
    world.start(policies=[policy(unpriced="deny")], store=store)
    refused = world.ask()
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert "no model without a price" in refused.json()["error"]["message"]
    assert world.primary.requests == []


def test_thresholds_are_told_once(
    world: World, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    world.primary.always(WHOLE)
    start(world, store, warnAt=[0.9, 0.5], amount=200)
    for turn in range(1, 5):
        world.ask()
        until(lambda turn=turn: spent(store) == min(turn, 4) * 60)
    told = [
        (each.kind, round((each.left or 0) / NANO))
        for entry in world.ledger.entries
        for each in entry.told
        if each.decision == "warned"
    ]
    assert told == [("budget", 80), ("budget", 20)]
    lines = [line for line in caplog.messages if line.startswith("budget 'money'")]
    assert [line.endswith("of 200 USD are left") for line in lines] == [True, True]


@pytest.mark.inbound
def test_a_client_of_anthropics_dialect_reads_its_own_error(
    world: World, store: MemoryStore
) -> None:
    world.primary.always(Answer(body=json.dumps({"type": "message", "content": []}).encode()))
    world.start(policies=[policy(unpriced="deny")], store=store)
    refused = world.ask(path="/v1/messages")
    assert refused.status == 429
    assert refused.json()["type"] == "error"
    assert refused.json()["error"]["type"] == "rate_limit_error"
