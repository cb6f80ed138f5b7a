"""Limits: what they admit, how they refuse, and that everything is settled, on every path."""

from __future__ import annotations

import json
import random
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

MINUTE_US = 60_000_000
STREAMED = QUESTION | {"stream": True}
WHOLE = Answer(body=chat_completion("hello", usage=token_usage(40, 60)))
EVENTS = chat_stream(["Good ", "morning"], usage=token_usage(40, 60), include_usage=True)


def policy(
    *limits: dict[str, Any], name: str = "team", targets: list[dict[str, str]] | None = None
) -> LLMPolicy:
    spec = {"limits": [{"name": "one", **limit} for limit in limits], "targetRefs": targets or []}
    return LLMPolicy.model_validate({"metadata": {"name": name}, "spec": spec})


class Ledger:
    """A store whose clock stands still, and what is left in it."""

    def __init__(self) -> None:
        self.now = 1_000_000_000
        self.store = MemoryStore(clock_us=lambda: self.now)

    def used(self, amount: int, item: str = "team/one", mark: str = "t") -> int:
        """Return how many units of a limit by the minute are used."""
        key = f"{{default/{item}}}:{mark}"
        capacity = MINUTE_US
        return (capacity - self.store.remaining_us(key, capacity)) * amount // MINUTE_US

    def taken(self) -> int:
        return self.store.taken("{default/team/one}:c")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def start(world: World, ledger: Ledger, *limits: dict[str, Any], **words: Any) -> None:
    world.start(policies=[policy(*limits)], store=ledger.store, **words)


def test_requests_beyond_the_limit_are_429_and_say_when_to_come_again(
    world: World, ledger: Ledger
) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"requests": 2, "per": "1m"})
    assert [world.ask().status for _ in range(3)] == [200, 200, 429]
    refused = world.ask()
    assert refused.code == "rate_limit_exceeded"
    told = {name: value for name, value in refused.headers.items() if name.startswith("x-rate")}
    assert told == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("30", "30000")
    assert "x-should-retry" not in refused.headers
    assert len(world.primary.requests) == 2
    ledger.now += 30_000_000
    assert [world.ask().status for _ in range(2)] == [200, 429]


def test_a_long_wait_is_not_worth_a_retry(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"requests": 1, "per": "1h"})
    world.ask()
    refused = world.ask()
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["retry-after"] == "3600"


def test_those_who_are_refused_together_are_told_to_come_back_at_different_times(
    world: World, ledger: Ledger
) -> None:
    world.primary.always(WHOLE)
    drawn = random.Random(7)
    start(world, ledger, {"requests": 1, "per": "1m"}, rng=drawn.random)
    refused = [world.ask().headers for _ in range(9)][1:]
    told_ms = [int(headers["retry-after-ms"]) for headers in refused]
    assert len(set(told_ms)) == 8
    assert all(60_000 <= wait_ms <= 66_000 for wait_ms in told_ms)
    assert [int(headers["retry-after"]) for headers in refused] == [
        -(-ms // 1000) for ms in told_ms
    ]
    assert {headers["x-ratelimit-reset-requests"] for headers in refused} == {"1m0s"}


def test_tokens_are_reserved_and_settled_by_what_the_provider_reports(
    world: World, ledger: Ledger
) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"tokens": 1000})
    reply = world.ask()
    assert ledger.used(1000) == 100
    assert reply.headers["x-ratelimit-limit-tokens"] == "1000"
    assert int(reply.headers["x-ratelimit-remaining-tokens"]) < 1000
    statuses = [world.ask().status for _ in range(12)]
    admitted = statuses.count(200)
    assert statuses == [200] * admitted + [429] * (12 - admitted)
    assert ledger.used(1000) == 100 * (1 + admitted)
    assert admitted in (7, 8, 9)  # the last one is let in if its estimate fits


def test_the_limits_of_the_mesh_hide_those_of_the_provider(world: World, ledger: Ledger) -> None:
    names = ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-limit", "ratelimit-reset")
    fields = [(name, "7") for name in (*names, "x-ratelimit-limit-requests")]
    world.primary.always(Answer(body=WHOLE.body, headers=fields))
    start(world, ledger, {"tokens": 1000})
    told = {name: v for name, v in world.ask().headers.items() if "ratelimit" in name}
    assert set(told) == {f"x-ratelimit-{which}-tokens" for which in ("limit", "remaining", "reset")}
    assert told["x-ratelimit-limit-tokens"] == "1000"


def test_a_request_above_the_limit_passes_a_full_bucket_and_leaves_a_debt(
    world: World, ledger: Ledger
) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"tokens": 50})
    assert (world.ask().status, ledger.used(50)) == (200, 100)
    refused = world.ask()
    assert (refused.status, refused.headers["x-ratelimit-remaining-tokens"]) == (429, "0")
    assert int(refused.headers["retry-after"]) == 120


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ({"count": "input"}, 40),
        ({"count": "output"}, 60),
        ({"count": "uncached"}, 70),
        ({"weights": {"cacheRead": 0.1, "output": 2}}, 133),
        ({"weights": {"input": 0, "cacheRead": 0, "output": 0, "reasoning": 0.5}}, 0),
    ],
)
def test_tokens_count_by_their_class(
    world: World, ledger: Ledger, fields: dict[str, Any], used: int
) -> None:
    usage = token_usage(40, 60) | {"prompt_tokens_details": {"cached_tokens": 30}}
    world.primary.always(Answer(body=chat_completion("hello", usage=usage)))
    start(world, ledger, {"tokens": 1000, **fields})
    assert world.ask().status == 200
    assert ledger.used(1000) == used


def test_a_stream_is_settled_at_its_end(world: World, ledger: Ledger) -> None:
    world.primary.always(Stream(EVENTS))
    start(world, ledger, {"tokens": 1000, "concurrency": 1})
    reply = world.ask(STREAMED)
    assert (reply.status, reply.headers["x-ratelimit-limit-tokens"]) == (200, "1000")
    until(lambda: (ledger.used(1000), ledger.taken()) == (100, 0))


def test_a_provider_that_fails_costs_no_tokens_and_no_slot(world: World, ledger: Ledger) -> None:
    failure = Answer(500, body=error_body("no", code="odd"))
    world.primary.always(failure)
    world.fallback.always(failure)
    start(world, ledger, {"tokens": 1000, "concurrency": 1, "requests": 10})
    assert world.ask().status == 500
    assert (ledger.used(1000), ledger.taken(), ledger.used(10, mark="r")) == (0, 0, 1)


def test_a_fallback_is_charged_once(world: World, ledger: Ledger) -> None:
    world.primary.always(Answer(503, body=error_body("down", code="odd")))
    world.fallback.always(WHOLE)
    world.start(
        rule("only", PRIMARY, FALLBACK),
        policies=[policy({"tokens": 1000, "requests": 10, "concurrency": 1})],
        store=ledger.store,
    )
    assert world.ask().status == 200
    assert (ledger.used(1000), ledger.taken(), ledger.used(10, mark="r")) == (100, 0, 1)


def test_a_response_without_counts_keeps_the_estimate(world: World, ledger: Ledger) -> None:
    world.primary.always(Answer(body=chat_completion("hello")))
    start(world, ledger, {"tokens": 1000, "concurrency": 1})
    assert world.ask().status == 200
    assert 0 < ledger.used(1000) < 300
    assert ledger.taken() == 0


def test_requests_at_a_time_are_limited(world: World, ledger: Ledger) -> None:
    gate = Gate()
    world.primary.script(Stream([EVENTS[0], gate, *EVENTS[1:]]), WHOLE)
    start(world, ledger, {"concurrency": 1, "tokens": 1000})
    call = world.call(Ask(STREAMED))
    pieces = call.pieces()
    next(pieces)
    refused = world.ask()
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.headers["retry-after"] == "1"
    gate.open()
    b"".join(pieces)
    until(lambda: ledger.taken() == 0)
    assert world.ask().status == 200


def test_a_caller_that_leaves_in_mid_stream_is_settled(world: World, ledger: Ledger) -> None:
    gate = Gate()
    world.primary.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    start(world, ledger, {"concurrency": 1, "tokens": 1000})
    call = world.call(Ask(STREAMED))
    pieces = call.pieces()
    next(pieces)
    assert ledger.taken() == 1
    call.leave()
    gate.open()
    until(lambda: ledger.taken() == 0)
    assert 0 < ledger.used(1000) <= 100


@pytest.mark.notices_at_once
def test_a_caller_that_leaves_before_the_response_pays_its_input(
    world: World, ledger: Ledger
) -> None:
    gate = Gate()
    world.primary.script(Stream([gate, *EVENTS]))
    start(world, ledger, {"concurrency": 1, "tokens": 1000})
    call = world.call(Ask(STREAMED))
    until(lambda: len(world.primary.requests) == 1)
    assert ledger.taken() == 1
    call.leave()
    until(lambda: ledger.taken() == 0)
    assert 0 < ledger.used(1000) < 100
    gate.open()


def test_callers_are_told_apart_and_the_numbers_may_be_theirs(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    overrides = [{"match": {"headers": {"x-plan": {"exact": "pro"}}}, "requests": 2}]
    limit = {"requests": 1, "by": ["header:x-team"], "trustHeaders": True, "overrides": overrides}
    start(world, ledger, limit)
    asked = [
        (("x-team", "a"),),
        (("x-team", "a"),),
        (("x-team", "b"),),
        (("x-team", "c"), ("x-plan", "pro")),
        (("x-team", "c"), ("x-plan", "pro")),
        (("x-team", "c"), ("x-plan", "pro")),
        (),
        (),
    ]
    statuses = [world.ask(headers=headers).status for headers in asked]
    assert statuses == [200, 429, 200, 200, 200, 429, 200, 429]


@pytest.mark.parametrize(
    ("on_missing", "statuses"),
    [("share", [200, 429]), ("deny", [403, 403]), ("skip", [200, 200])],
)
def test_a_request_without_a_value_is_treated_as_configured(
    world: World, ledger: Ledger, on_missing: str, statuses: list[int]
) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"requests": 1, "by": ["attribute:team"], "onMissing": on_missing})
    assert [world.ask().status for _ in range(2)] == statuses


def test_only_requests_that_match_are_counted(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"requests": 1, "when": [{"model": {"prefix": "big"}}]})
    models = ["big-1", "small", "big-2", "small"]
    statuses = [world.ask({**QUESTION, "model": model}).status for model in models]
    assert statuses == [200, 200, 429, 200]


def test_a_limit_in_shadow_refuses_nobody(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    start(world, ledger, {"requests": 1, "shadow": True})
    replies = [world.ask() for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    assert "x-ratelimit-limit-requests" not in replies[0].headers


def test_the_reservation_decides_while_calls_are_in_flight(world: World, ledger: Ledger) -> None:
    gate = Gate()
    world.primary.always(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    start(world, ledger, {"tokens": 1000, "reserve": "max"})
    body = {**STREAMED, "max_tokens": 450}
    streams = [world.call(Ask(body)).pieces() for _ in range(2)]
    for stream in streams:
        next(stream)
    assert world.ask(body).status == 429
    gate.open()
    for stream in streams:
        b"".join(stream)
    until(lambda: ledger.used(1000) == 200)
    assert world.ask(body).status == 200


def test_a_limit_of_a_provider_sends_requests_to_another(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(WHOLE)
    targets = [{"kind": "LLMProvider", "name": "primary"}]
    world.start(
        rule("only", PRIMARY, FALLBACK),
        policies=[policy({"requests": 2}, targets=targets)],
        store=ledger.store,
    )
    providers = [world.ask().headers["x-llm-mesh-provider"] for _ in range(4)]
    assert providers == ["primary", "primary", "fallback", "fallback"]


def test_if_every_provider_is_at_its_limit_the_client_is_told(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(WHOLE)
    world.start(
        rule("only", PRIMARY, FALLBACK),
        policies=[policy({"requests": 1, "by": ["provider"]})],
        store=ledger.store,
    )
    replies = [world.ask() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "60"


def test_an_attempt_that_fails_gives_its_tokens_back(world: World, ledger: Ledger) -> None:
    world.primary.always(Answer(503, body=error_body("down", code="odd")))
    world.fallback.always(WHOLE)
    world.start(
        rule("only", PRIMARY, FALLBACK),
        policies=[policy({"tokens": 1000, "concurrency": 5, "by": ["provider"]})],
        store=ledger.store,
    )
    assert world.ask().status == 200
    lacking = [change.change_us for change in ledger.store.drain()]
    assert lacking == [100 * 60_000]
    assert len(ledger.store) == 0


def test_policies_add_up(world: World, ledger: Ledger) -> None:
    world.primary.always(WHOLE)
    route = [{"kind": "LLMRoute", "name": "chat", "sectionName": "only"}]
    world.start(
        policies=[
            policy({"requests": 3}, name="a"),
            policy({"requests": 2}, name="b", targets=route),
        ],
        store=ledger.store,
    )
    replies = [world.ask() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[0].headers["x-ratelimit-limit-requests"] == "2"
    assert ledger.used(3, "a/one", "r") == 2


@pytest.mark.inbound
def test_a_client_of_another_dialect_is_refused_in_that(world: World, ledger: Ledger) -> None:
    world.primary.always(Answer(body=json.dumps({"type": "message", "content": []}).encode()))
    start(world, ledger, {"requests": 1})
    world.ask(path="/v1/messages")
    refused = world.ask(path="/v1/messages")
    assert refused.status == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["type"] == "error"
