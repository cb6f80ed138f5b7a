"""The order in which one request tries the backends of its rule."""

from __future__ import annotations

from llm_mesh_middleware._core.flow.attempts.outcome import Outcome
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy, Verdict
from llm_mesh_middleware.exceptions import (
    ResponseTooLarge,
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.core.planning import DOWN, NOW, Plan, answer, failure
from tests.rows import rows

REFUSED = failure(UpstreamConnectError("refused"))
TORN = failure(UpstreamProtocolError("torn"))


@rows(
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


@rows("seed", range(8))
def test_which_sibling_is_first_is_chance_but_each_comes_once(seed: int) -> None:
    plan = Plan("a b c | d", chance=seed / 8)
    *siblings, last = plan.order(DOWN, DOWN, DOWN)
    assert sorted(siblings) == ["a", "b", "c"]
    assert last == "d"


@rows(
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


@rows(
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


@rows("codes", [(), (429,), (400,)])
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


@rows("disguised", DISGUISED, ids=lambda outcome: str(outcome.status))
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


@rows("attempts", range(4))
def test_there_are_never_more_attempts_than_configured(attempts: int) -> None:
    plan = Plan("a b | c", retry=RetryPolicy(attempts=attempts))
    assert len(plan.order(*[DOWN] * 9)) == 1 + attempts
    assert plan.plan.made == 1 + attempts
