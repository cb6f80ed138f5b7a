"""Which backends are tried when some are ejected, busy or over a retry budget."""

from __future__ import annotations

from collections import Counter

import pytest

from llm_mesh_middleware._core.flow.attempts.retrying import RetryBudget
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy
from llm_mesh_middleware._dialects.openai_chat import OPERATIONS
from llm_mesh_middleware.exceptions import (
    NoBackendAvailable,
    UnsupportedOperation,
)
from tests.core.planning import DOWN, NOW, Plan, answer
from tests.rows import rows

EMBEDDINGS = next(one for one in OPERATIONS if one.suffix == "/embeddings")


def test_ejected_backends_are_passed_over() -> None:
    plan = Plan("a b | c | d")
    plan.eject("a", "b")
    assert plan.order(DOWN) == ["c", "d"]


@rows(("tiers", "first"), [("a", "a"), ("a b", "a"), ("a | b", "a")])
def test_when_every_backend_is_ejected_each_request_has_one_attempt(tiers: str, first: str) -> None:
    plan = Plan(tiers)
    plan.eject(*tiers.replace("|", "").split())
    choice = plan.plan.first(NOW)
    assert choice.is_forced
    assert Plan.order(plan, DOWN) == [first]


def test_a_backend_that_cannot_be_reached_is_not_forced_while_another_answers() -> None:
    plan = Plan("a | b")
    plan.eject("a", result="unreachable")
    plan.eject("b")
    assert plan.plan.first(NOW).backend.upstream.provider == "b"


def test_a_backend_that_was_ejected_while_a_slot_was_awaited_is_still_forced() -> None:
    plan = Plan("a")
    choice = plan.plan.first(NOW)
    plan.eject("a")
    forced = plan.plan.instead(choice, NOW)
    assert forced is not None
    assert forced.is_forced
    assert plan.plan.instead(forced, NOW) is None  # no slot came free
    assert plan.plan.unavailable(NOW).headers == {"retry-after": "1"}


@rows(
    ("tiers", "ejected", "is_fallback"),
    [
        ("a | b", "", False),
        ("a | b", "a", True),
        ("a | b", "b", False),
        ("a b", "", False),
        ("a b", "b", False),
        ("a b", "a", True),
        ("a | b", "a b", False),
    ],
)
def test_a_call_that_the_preferred_backend_does_not_get_is_a_fallback(
    tiers: str, ejected: str, is_fallback: bool
) -> None:
    plan = Plan(tiers)
    plan.eject(*ejected.split())
    first = plan.plan.first(NOW).backend.upstream.host
    assert (first != plan.plan.preferred_host) is is_fallback


def test_nothing_is_tried_when_no_backend_can_be_reached() -> None:
    plan = Plan("a | b")
    plan.eject("a", at=NOW - 2, result="unreachable")
    plan.eject("b", at=NOW, result="unreachable")
    with pytest.raises(NoBackendAvailable) as caught:
        plan.plan.first(NOW)
    assert caught.value.headers == {"retry-after": "3"}
    assert "a.example, b.example" in caught.value.message


def test_no_retry_is_planned_at_a_backend_that_was_just_ejected() -> None:
    plan = Plan("a")
    choice = plan.plan.first(NOW)
    plan.plan.tries(choice.candidate)
    plan.eject("a")
    assert plan.plan.after(choice, DOWN, NOW) is None
    assert plan.plan.after(choice, answer(429, 1.0), NOW) is None


def test_weights_hold_among_the_backends_that_are_in_service() -> None:
    plan = Plan("a:50 b:30 c:20", chance=None)
    plan.eject("a")
    picks = Counter(plan.plan.first(NOW).backend.upstream.provider for _ in range(10_000))
    assert picks["a"] == 0
    assert picks["b"] / 10_000 == pytest.approx(0.6, abs=0.01)


def test_backends_with_a_free_slot_come_before_those_without() -> None:
    plan = Plan("a b", specs={"a": {"maxConcurrency": 1}}, chance=None)
    held = plan.of("a").lease(NOW)
    picks = {plan.plan.first(NOW).backend.upstream.provider for _ in range(50)}
    assert held is not None
    assert picks == {"b"}


def test_a_retry_without_budget_is_not_made() -> None:
    budget = RetryBudget(share=0.2, reserve=2)
    assert Plan("a | b", budget=budget).order(*[DOWN] * 9) == ["a", "b", "a"]
    assert Plan("a | b", budget=budget).order(*[DOWN] * 9) == ["a"]


def test_a_fallback_known_to_be_good_needs_no_budget() -> None:
    empty = RetryBudget(share=0.01, reserve=1)
    assert empty.spend(NOW)
    plan = Plan("a | b", budget=empty)
    assert plan.order(DOWN) == ["a"]
    plan = Plan("a | b", budget=empty)
    plan.succeed("b")
    assert plan.order(DOWN) == ["a", "b"]


def test_a_retry_at_the_same_backend_always_needs_budget() -> None:
    empty = RetryBudget(share=0.01, reserve=1)
    assert empty.spend(NOW)
    plan = Plan("a", budget=empty)
    plan.succeed("a")
    lease = plan.of("a").lease(NOW)
    assert lease is not None
    lease.end("failure", NOW)
    assert plan.order(DOWN) == ["a"]


def test_a_backend_that_cannot_serve_the_operation_is_never_tried() -> None:
    odd = {"a": {"path": "/odd"}}
    assert Plan("a b | c", operation=EMBEDDINGS, specs=odd).order(DOWN) == ["b", "c"]
    assert Plan("a | b", operation=EMBEDDINGS, specs=odd).order(DOWN, DOWN) == ["b", "b", "b"]
    assert Plan("a b", specs=odd, chance=0.0).order() == ["a"]
    with pytest.raises(UnsupportedOperation, match="a.example"):
        Plan("a", operation=EMBEDDINGS, specs=odd)


def test_a_hedge_goes_to_a_backend_that_was_not_tried_and_has_a_free_slot() -> None:
    plan = Plan("a b", specs={"b": {"maxConcurrency": 1}})
    first = plan.plan.first(NOW)
    assert first.backend.upstream.provider == "a"
    plan.plan.tries(first.candidate)
    second = plan.plan.hedge(NOW)
    assert second is not None
    assert second.backend.upstream.provider == "b"
    held = plan.of("b").lease(NOW)
    assert held is not None
    assert plan.plan.hedge(NOW) is None


@rows(("tiers", "attempts", "has_budget"), [("a", 2, True), ("a b", 0, True), ("a b", 2, False)])
def test_there_is_no_hedge_without_a_backend_an_attempt_and_budget(
    tiers: str, attempts: int, has_budget: bool
) -> None:
    budget = RetryBudget(share=0.01, reserve=1)
    assert has_budget or budget.spend(NOW)
    plan = Plan(tiers, retry=RetryPolicy(attempts=attempts), budget=budget)
    plan.plan.tries(plan.plan.first(NOW).candidate)
    assert plan.plan.hedge(NOW) is None


def test_the_same_key_keeps_its_backend_and_its_fallback() -> None:
    keys = [f"user-{number}" for number in range(30)]
    first = [Plan("a b c", key=key, chance=None).order(DOWN, DOWN) for key in keys]
    second = [Plan("a b c", key=key, chance=None).order(DOWN, DOWN) for key in keys]
    assert first == second
    assert len({tuple(order) for order in first}) == 6


def test_a_request_is_hedged_once() -> None:
    plan = Plan("a b c")
    plan.plan.tries(plan.plan.first(NOW).candidate)
    assert plan.plan.hedge(NOW) is not None
    assert plan.plan.hedge(NOW) is None


def test_a_fallback_that_others_are_trying_is_waited_for_when_the_budget_is_spent() -> None:
    empty = RetryBudget(share=0.01, reserve=1)
    assert empty.spend(NOW)
    plan = Plan("a | b", budget=empty)
    others = plan.of("b").lease(NOW)
    assert others is not None
    choice = plan.plan.first(NOW)
    plan.plan.tries(choice.candidate)
    waiting = plan.plan.after(choice, DOWN, NOW)
    assert waiting is not None
    assert waiting.is_on_trial
    assert plan.plan.afforded(waiting, NOW) == waiting  # no news of any weight
    others.end("success", NOW)
    now_good = plan.plan.afforded(waiting, NOW)
    assert now_good is not None
    assert not now_good.is_on_trial
    lease = plan.of("b").lease(NOW)
    assert lease is not None
    lease.end("failure", NOW)
    assert plan.plan.afforded(waiting, NOW) is None
