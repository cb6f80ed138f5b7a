"""The order in which one request tries the backends of its rule."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping

import pytest

from llm_mesh_middleware._core.balance.sticky import Sticky
from llm_mesh_middleware._core.balance.weighted import Weighted
from llm_mesh_middleware._core.flow.attempts.attempt import Outcome
from llm_mesh_middleware._core.flow.attempts.plan import AttemptPlan, Choice
from llm_mesh_middleware._core.flow.attempts.retrying import RetryBudget
from llm_mesh_middleware._core.provider.health import ProviderHealth
from llm_mesh_middleware._core.provider.outliers import Result
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy, Verdict
from llm_mesh_middleware._core.routing.table import RouteRule
from llm_mesh_middleware._core.values.operations import Operation
from llm_mesh_middleware._dialects.openai_chat import CHAT, OPERATIONS
from llm_mesh_middleware.exceptions import (
    NoBackendAvailable,
    ResponseTooLarge,
    UnsupportedOperation,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.core.health import health_of
from tests.core.tables import request
from tests.resilience.meshes import HOST, provider, route, table

NOW = 100.0
EMBEDDINGS = next(one for one in OPERATIONS if one.suffix == "/embeddings")


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
REFUSED = failure(UpstreamConnectError("refused"))
TORN = failure(UpstreamProtocolError("torn"))


@pytest.mark.parametrize(
    ("tiers", "outcomes", "order"),
    [
        ("a", [DOWN, DOWN], ["a", "~a", "~a"]),
        ("a b", [DOWN, DOWN, DOWN], ["a", "b", "~a", "~a"]),
        ("a | b", [DOWN, DOWN, DOWN], ["a", "b", "~a", "~a"]),
        ("a b | c", [DOWN, DOWN, DOWN], ["a", "b", "c", "~a"]),
        ("a | b c", [DOWN, DOWN, DOWN], ["a", "b", "c", "~a"]),
        ("a | b | c", [DOWN, DOWN, DOWN], ["a", "b", "c", "~a"]),
        ("a b", [REFUSED, REFUSED], ["a", "b", "~a"]),
        ("a b", [TORN, TORN], ["a", "b", "~a"]),
        ("a b", [answer(200)], ["a"]),
        ("a b", [answer(400)], ["a"]),
        ("a b", [answer(401)], ["a"]),
        ("a b", [answer(500)], ["a"]),
        ("a b", [DOWN, answer(400)], ["a", "b"]),
    ],
)
def test_siblings_come_first_then_the_next_tier_then_the_same_after_a_pause(
    tiers: str, outcomes: list[Outcome], order: list[str]
) -> None:
    assert Plan(tiers, chance=0.1).order(*outcomes) == order


@pytest.mark.parametrize("seed", range(8))
def test_which_sibling_is_first_is_chance_but_each_comes_once(seed: int) -> None:
    plan = Plan("a b c | d", chance=seed / 8)
    *siblings, last = plan.order(DOWN, DOWN, DOWN)
    assert sorted(siblings) == ["a", "b", "c"]
    assert last == "d"


@pytest.mark.parametrize(
    ("tiers", "outcomes", "order"),
    [
        # A short wish is granted before a lower tier is bothered, but once only.
        ("a | b", [answer(429, 1.0)], ["a", "~a"]),
        ("a | b", [answer(429, 1.0)] * 2, ["a", "~a", "b"]),
        ("a | b", [answer(429, 0.0)] * 2, ["a", "~a", "b"]),
        ("a | b", [answer(503, 1.0), answer(503, 1.0)], ["a", "~a", "b"]),
        ("a | b", [answer(429, 5.0), answer(200)], ["a", "~a"]),
        # A sibling needs no waiting.
        ("a b | c", [answer(429, 1.0)] * 3, ["a", "b", "~b", "c"]),
        # Without another backend there is nothing better than to wait again.
        ("a", [answer(429, 1.0)] * 3, ["a", "~a", "~a", "~a"]),
        ("a | b", [answer(429, 1.0)] * 5, ["a", "~a", "b", "~b", "~b", "~b"]),
        # A long wish is not waited out.
        ("a | b", [answer(429, 5.1)], ["a", "b"]),
        ("a", [answer(429, 5.1)], ["a"]),
        ("a | b", [answer(429, 60.0)] * 2, ["a", "b"]),
        # No wish at all.
        ("a | b", [answer(429)] * 2, ["a", "b", "~a"]),
    ],
)
def test_a_provider_that_asks_for_a_pause(
    tiers: str, outcomes: list[Outcome], order: list[str]
) -> None:
    assert Plan(tiers, chance=0.1).order(*outcomes) == order


def test_a_wish_is_never_undercut_and_callers_do_not_come_back_all_at_once() -> None:
    pauses = set()
    for seed in range(50):
        plan = Plan("a", chance=seed / 50)
        choice = plan.plan.first(NOW)
        plan.plan.tries(choice.candidate)
        again = plan.plan.after(choice, answer(429, 2.0), NOW)
        assert again is not None
        assert 2.0 <= again.pause_s <= 2.2
        pauses.add(again.pause_s)
    assert len(pauses) == 50


def test_a_wish_of_nothing_still_gets_the_pause_of_any_retry() -> None:
    plan = Plan("a", chance=0.5)
    choice = plan.plan.first(NOW)
    plan.plan.tries(choice.candidate)
    again = plan.plan.after(choice, answer(429, 0.0), NOW)
    assert again is not None
    assert again.pause_s == 0.125


@pytest.mark.parametrize(
    ("phase", "order"),
    [
        ("connect", ["a", "~a"]),
        ("first_byte", ["a"]),
        ("idle", ["a"]),
        ("request", ["a"]),
    ],
)
def test_only_a_provider_that_was_not_reached_is_tried_again_after_a_timeout(
    phase: str, order: list[str]
) -> None:
    late = failure(UpstreamTimeout("late", phase=phase))
    assert Plan("a", chance=0.5).order(late) == order
    assert Plan("a | b").order(late) == ["a", "b"]


@pytest.mark.parametrize("codes", [(), (429,), (400,)])
def test_failed_connections_are_tried_again_whatever_the_codes(codes: tuple[int, ...]) -> None:
    retry = RetryPolicy(codes=frozenset(codes))
    not_reached = failure(UpstreamTimeout("late", phase="connect"))
    assert Plan("a | b", retry=retry).order(REFUSED) == ["a", "b"]
    assert Plan("a | b", retry=retry).order(not_reached) == ["a", "b"]
    assert Plan("a | b", retry=retry).order(TORN) == ["a"]
    late = failure(UpstreamTimeout("late", phase="first_byte"))
    assert Plan("a | b", retry=retry).order(late) == ["a"]


def test_a_refusal_named_in_the_policy_goes_elsewhere_and_never_back() -> None:
    retry = RetryPolicy(attempts=9, reasons=frozenset(("context_length_exceeded",)))
    too_long = answer(400, None, "context_length_exceeded", "invalid_request_error")
    assert Plan("a | b", retry=retry).order(too_long, too_long) == ["a", "b"]
    assert Plan("a", retry=retry).order(too_long) == ["a"]
    assert Plan("a | b").order(too_long) == ["a"]


DISGUISED = [
    Outcome(status, [], is_disguised=True, may_follow=Verdict.ANYWHERE)
    for status in (400, 401, 403, 404, 500)
]


@pytest.mark.parametrize("disguised", DISGUISED, ids=lambda outcome: str(outcome.status))
def test_an_error_with_the_status_200_is_tried_elsewhere_whatever_it_means(
    disguised: Outcome,
) -> None:
    assert Plan("a b | c").order(disguised, disguised, disguised) == ["a", "b", "c"]
    assert Plan("a").order(disguised) == ["a"]


def test_a_response_that_nobody_can_read_is_not_asked_for_again_at_the_same_backend() -> None:
    broken = UpstreamProtocolError("no JSON")
    unreadable = Outcome(502, [], error=broken, may_follow=Verdict.ELSEWHERE)
    assert Plan("a").order(unreadable) == ["a"]
    assert Plan("a | b").order(unreadable, unreadable) == ["a", "b"]


def test_after_a_limit_of_the_mesh_no_other_backend_is_asked() -> None:
    error = ResponseTooLarge("more than 64 MiB")
    too_large = Outcome(502, [], error=error, may_follow=Verdict.FINAL)
    assert Plan("a b | c").order(too_large) == ["a"]


@pytest.mark.parametrize("attempts", range(4))
def test_there_are_never_more_attempts_than_configured(attempts: int) -> None:
    plan = Plan("a b | c", retry=RetryPolicy(attempts=attempts))
    assert len(plan.order(*[DOWN] * 9)) == 1 + attempts
    assert plan.plan.made == 1 + attempts


def test_ejected_backends_are_passed_over() -> None:
    plan = Plan("a b | c | d")
    plan.eject("a", "b")
    assert plan.order(DOWN) == ["c", "d"]


@pytest.mark.parametrize(("tiers", "first"), [("a", "a"), ("a b", "a"), ("a | b", "a")])
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
    ("tiers", "attempts", "has_budget"), [("a", 2, True), ("a b", 0, True), ("a b", 2, False)]
)
def test_there_is_no_hedge_without_a_backend_an_attempt_and_budget(
    tiers: str, attempts: int, has_budget: bool
) -> None:
    budget = RetryBudget(share=0.01, reserve=1)
    assert has_budget or budget.spend(NOW)
    plan = Plan(tiers, retry=RetryPolicy(attempts=attempts), budget=budget)
    plan.plan.tries(plan.plan.first(NOW).candidate)
    assert plan.plan.hedge(NOW) is None


def test_the_same_key_keeps_its_backend_and_its_fallback() -> None:
    keys = [f"user-{number}" for number in range(40)]
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
