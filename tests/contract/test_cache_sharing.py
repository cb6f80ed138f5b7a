"""Calls that many wait for, and what a cache keeps when calls fail or are refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Gate,
    RecordedRequest,
    Stream,
    assert_cached,
    chat_completion,
    error_body,
)
from tests.contract.caching import (
    ASKED,
    EVENTS,
    STREAMED,
    WHOLE,
    content,
    policy,
    results,
    streamed,
)
from tests.contract.calling import Ask
from tests.contract.conftest import World, rule
from tests.resilience.meshes import FALLBACK, PRIMARY


def test_equal_requests_at_once_make_one_call(world: World) -> None:
    gate = Gate()
    world.primary.always(Stream([*EVENTS[:1], gate, *EVENTS[1:]]))
    world.start(policies=[policy()])
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(world.ask, STREAMED if n % 2 else ASKED) for n in range(20)]
        assert gate.wait_reached(5)
        gate.open()
        told = sorted(each.result().headers["x-llm-mesh-cache"] for each in asking)

    assert len(world.primary.requests) == 1
    assert told == ["hit"] * 19 + ["miss"]


def test_a_masked_value_is_not_kept_and_not_shared(world: World) -> None:
    def echo(request: RecordedRequest) -> Answer:
        return Answer(body=chat_completion(f"Hello {request.json()['messages'][0]['content']}"))

    world.primary.always(echo)
    pii = {"name": "pii", "pii": {}, "action": {"mask": {"unmask": True}}}
    world.start(policies=[policy(guards=[pii])])
    anna, bob = (
        world.ask({"messages": [{"role": "user", "content": f"{name}@example.com"}]})
        for name in ("anna", "bob")
    )

    assert (content(anna.body), content(bob.body)) == (
        "Hello anna@example.com",
        "Hello bob@example.com",
    )
    assert bob.headers["x-llm-mesh-cache"] == "hit"
    assert len(world.primary.requests) == 1


def test_a_response_is_not_kept_for_requests_that_more_guards_hold_for(world: World) -> None:
    free = {"headers": {"x-plan": {"exact": "free"}}}
    words = {"name": "words", "on": ["response"], "keywords": {"deny": ["net"]}, "when": [free]}
    world.primary.always(WHOLE)
    world.start(policies=[policy(guards=[words])])
    paid, other = ([("x-plan", plan)] for plan in ("paid", "free"))

    assert results(world, ASKED, STREAMED, headers=paid) == ["miss", "hit"]
    assert [world.ask(body, headers=other).status for body in (ASKED, STREAMED)] == [403, 403]


def test_a_hit_costs_no_tokens(world: World) -> None:
    world.primary.always(WHOLE)
    limits = [{"name": "few", "tokens": 1000, "reserve": "max"}]
    world.start(policies=[policy(limits=limits)])
    body = ASKED | {"max_tokens": 900}

    assert [world.ask(body).status for _ in range(5)] == [200] * 5
    assert len(world.primary.requests) == 1


def test_rules_do_not_share(world: World) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(Answer(body=chat_completion("Another.")))
    big = [{"headers": {"x-size": {"exact": "big"}}}]
    world.start(rule("big", FALLBACK, matches=big), rule("small", PRIMARY), policies=[policy()])

    assert content(world.ask(ASKED).body) == "A net."
    assert content(world.ask(ASKED, headers=[("x-size", "big")]).body) == "Another."


def test_a_stream_goes_on_for_those_who_wait_when_its_client_leaves(world: World) -> None:
    gate = Gate()
    world.primary.always(Stream([*EVENTS[:1], gate, *EVENTS[1:]]))
    world.start(policies=[policy()])
    leader = world.call(Ask(STREAMED))
    pieces = leader.pieces()  # kept: some libraries leave with the iterator
    next(pieces)
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(world.ask, ASKED) for _ in range(4)]
        world.ledger.wait_decided("waits", 4)
        leader.leave()
        gate.open()
        replies = [each.result() for each in asking]

    assert [content(reply.body) for reply in replies] == ["A net."] * 4
    assert len(world.primary.requests) == 1


@pytest.mark.notices_at_once
def test_a_call_goes_on_for_those_who_wait_when_its_client_leaves(world: World) -> None:
    gate = Gate()
    world.primary.always(replace(WHOLE, delay=gate))
    world.start(policies=[policy()])
    leader = world.call(Ask(ASKED))
    assert gate.wait_reached(5)
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(world.ask, STREAMED if n % 2 else ASKED) for n in range(4)]
        world.ledger.wait_decided("waits", 4)
        leader.leave()
        gate.open()
        told = [each.result().headers["x-llm-mesh-cache"] for each in asking]

    assert told == ["hit"] * 4
    assert len(world.primary.requests) == 1


@pytest.mark.notices_at_once
def test_a_call_ends_with_the_last_who_waits_for_it(world: World) -> None:
    gate = Gate()
    world.primary.always(Stream([*EVENTS[:1], gate, *EVENTS[1:]]))
    world.start(policies=[policy()])
    leader = world.call(Ask(STREAMED))
    pieces = leader.pieces()  # kept: some libraries leave with the iterator
    next(pieces)
    follower = world.call(Ask(ASKED))
    world.ledger.wait_decided("waits", 1)

    leader.leave()
    assert world.primary.requests[0].disconnected_at is None
    follower.leave()

    assert world.primary.requests[0].wait_disconnected()
    gate.open()


@pytest.mark.parametrize("failure", [Answer(503, body=error_body("down")), Cut()])
def test_an_old_response_is_better_than_none(world: World, failure: Any) -> None:
    world.primary.always(WHOLE)
    world.start(
        rule("only", retry={"attempts": 1}),
        policies=[policy({"ttl": "1ms", "staleIfError": "1h"})],
    )
    world.ask(ASKED)
    time.sleep(0.002)
    world.primary.always(failure)

    old = world.ask(STREAMED)
    assert (old.status, streamed(old.body)) == (200, "A net.")
    assert old.headers["x-llm-mesh-cache"] == "stale"
    assert world.ask(ASKED, headers=[("cache-control", "max-age=0")]).status >= 500
    assert world.ask(ASKED, headers=[("cache-control", "only-if-cached")]).code == "cache_miss"

    world.primary.always(WHOLE)
    assert world.ask(ASKED).headers["x-llm-mesh-cache"] == "miss"


def test_an_old_response_is_for_failures_of_providers_only(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy({"ttl": "1ms", "staleIfError": "1h"})])
    world.ask(ASKED)
    time.sleep(0.002)
    world.primary.always(Answer(400, body=error_body("bad")))

    assert world.ask(ASKED).status == 400


def test_what_a_fallback_says_is_not_kept(world: World) -> None:
    world.primary.always(Answer(503, body=error_body("down")))
    world.fallback.always(WHOLE)
    world.start(rule("only", PRIMARY, FALLBACK), policies=[policy()])

    assert results(world, ASKED, ASKED) == ["miss", "miss"]
    assert len(world.fallback.requests) == 2


def test_a_test_can_assert_what_the_cache_did(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])

    assert_cached(world.ask(ASKED), "miss")
    assert_cached(world.ask(ASKED))
    with pytest.raises(AssertionError, match="expected a cache miss; the response was a hit"):
        assert_cached(world.ask(ASKED), "miss")
    world.start()
    with pytest.raises(AssertionError, match="no cache was asked"):
        assert_cached(world.ask(ASKED))
