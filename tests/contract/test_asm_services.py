"""The services of ASM behind limits and caches: its protocols, and what their failures mean."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sized
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Stream,
    assert_cached,
    chat_completion,
    chat_stream,
    token_usage,
)
from tests.contract.conftest import World
from tests.policies.asm_services import RequestCache, TokenLimits

WHOLE = Answer(body=chat_completion("A net.", usage=token_usage(4, 6)))
EVENTS = chat_stream(["A ", "net", "."], usage=token_usage(4, 6), include_usage=True)
GOLD, TRIAL = [("user-type", "gold")], [("user-type", "trial")]
BAD = [Answer(500), Answer(body=b"{"), Answer(body={"allow": "yes"}), Cut()]


@pytest.fixture
def service(world: World) -> Iterator[FakeUpstream]:
    """A server of each test's own: reports of a test may come after its end."""
    world.primary.always(WHOLE)
    with FakeUpstream(tls=False) as service:
        yield service


def policy(**spec: Any) -> LLMPolicy:
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})


def limited(service: FakeUpstream, timeout: str = "10s", **item: Any) -> LLMPolicy:
    given = {
        "name": "asm",
        "by": ["header:user-type"],
        "trustHeaders": True,
        "service": {"url": f"{service.url}/limits", "timeout": timeout},
        "onStoreFailure": "deny",
    }
    return policy(limits=[given | item])


def caching(service: FakeUpstream, timeout: str = "10s", **cache: Any) -> LLMPolicy:
    return policy(cache={"vary": [], "service": {"url": service.url, "timeout": timeout}, **cache})


def said(text: str, *before: dict[str, str], **members: Any) -> dict[str, Any]:
    return {"messages": [*before, {"role": "user", "content": text}], **members}


def until(found: Sized, count: int) -> None:
    """Wait for reports, which are sent beside the reply."""
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.002)
    assert len(found) == count


def decisions(world: World) -> list[str]:
    return [each.decision for entry in world.ledger.entries for each in entry.told]


def test_a_service_admits_until_it_has_counted_enough(world: World, service: FakeUpstream) -> None:
    limits = TokenLimits(trial=5)
    service.always(limits)
    world.start(policies=[limited(service)])

    assert world.ask(said("hi"), headers=TRIAL).status == 200
    until(limits.records, 1)
    refused = world.ask(said("hi"), headers=TRIAL)

    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert limits.records == [
        {
            "ratelimit_keys": ["trial"],
            "prompt_tokens": 4,
            "completion_tokens": 6,
            "total_tokens": 10,
        }
    ]
    assert service.requests[0].target == "/limits/ratelimit?ratelimit_keys=%5B%22trial%22%5D"
    assert world.ask(said("hi"), headers=GOLD).status == 200
    assert len(world.primary.requests) == 2


def test_the_tokens_of_a_stream_are_reported_at_its_end(
    world: World, service: FakeUpstream
) -> None:
    limits = TokenLimits()
    service.always(limits)
    world.primary.always(Stream(EVENTS))
    world.start(policies=[limited(service)])
    world.ask(said("hi", stream=True), headers=GOLD)

    until(limits.records, 1)
    assert limits.records[0]["total_tokens"] == 10


def test_a_request_without_a_key_is_not_asked_about(world: World, service: FakeUpstream) -> None:
    world.start(policies=[limited(service)])

    assert world.ask(said("hi")).status == 200
    assert service.requests == []


def test_what_a_failure_of_the_service_means_is_stated(world: World, service: FakeUpstream) -> None:
    for answer in BAD:
        service.always(answer)
        world.start(policies=[limited(service)])
        refused = world.ask(said("hi"), headers=GOLD)
        assert (refused.status, refused.code) == (503, "policy_unavailable")
        world.start(policies=[limited(service, onStoreFailure="allow")])
        assert world.ask(said("hi"), headers=GOLD).status == 200

    assert decisions(world).count("unchecked") == 2 * len(BAD)
    assert len(world.primary.requests) == len(BAD)


def test_a_service_that_hangs_is_left_alone_for_a_while(
    world: World, service: FakeUpstream
) -> None:
    service.always(Answer(body=b"{}", delay=30.0))
    world.start(policies=[limited(service, timeout="50ms", onStoreFailure="allow")])
    began = time.monotonic()
    for _ in range(5):
        assert world.ask(said("hi"), headers=GOLD).status == 200

    # One a second at most, and each of them for its time-out only.
    assert len(service.requests) <= 1 + (time.monotonic() - began) / 1.0


def test_in_shadow_a_service_refuses_nobody(world: World, service: FakeUpstream) -> None:
    service.always(TokenLimits(trial=0))
    world.start(policies=[limited(service, shadow=True)])

    assert world.ask(said("hi"), headers=TRIAL).status == 200
    assert decisions(world) == ["shadow_refused"]


def test_a_service_keeps_responses(world: World, service: FakeUpstream) -> None:
    cache = RequestCache()
    service.always(cache)
    world.start(policies=[caching(service)])
    first = world.ask(said("What is a mesh?"), headers=[("x-secret", "of the client")])
    until(cache.kept, 1)
    second, stream = (
        world.ask(said("What is a mesh?")),
        world.ask(said("What is a mesh?", stream=True)),
    )

    assert_cached(first, "miss")
    assert_cached(second)
    assert_cached(stream)
    assert second.body == first.body
    assert b"A net." in stream.body or b'"A net' in stream.body
    assert len(world.primary.requests) == 1
    assert set(cache.asked[0]["request"]["headers"]) == {"host", ":authority", "content-type"}
    assert (
        json.loads(cache.asked[0]["request"]["body"])["messages"][0]["content"] == "What is a mesh?"
    )


def test_the_key_of_the_service_keeps_apart_what_the_mesh_does(
    world: World, service: FakeUpstream
) -> None:
    cache = RequestCache()
    service.always(cache)
    world.start(policies=[caching(service)])
    asked = [
        said("yes"),
        said("yes", {"role": "system", "content": "Be brief."}),
        said("yes", {"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "?"}),
        said("yes", temperature=0.5),
    ]
    for number, body in enumerate(asked, start=1):
        assert_cached(world.ask(body), "miss")
        until(cache.kept, number)

    assert len(world.primary.requests) == len(asked)


NO_ENTRY = [
    Answer(500),
    Answer(404),
    Answer(body=b"{"),
    Answer(body={"response": {"headers": {}, "body": "no JSON"}}),
    Answer(body={"response": {"headers": {}, "body": '{"error": {"message": "down"}}'}}),
    Answer(
        body={
            "response": {
                "headers": {},
                "body": json.dumps(chat_completion("cut", finish_reason="length")),
            }
        }
    ),
    Cut(),
]


def test_a_service_that_fails_or_lies_has_nothing(world: World, service: FakeUpstream) -> None:
    for answer in NO_ENTRY:
        service.always(answer)
        world.start(policies=[caching(service)])
        reply = world.ask(said("What is a mesh?"))
        assert_cached(reply, "miss")
        assert reply.json()["choices"][0]["message"]["content"] == "A net."


def test_an_entry_of_the_service_is_as_old_as_it_says(world: World, service: FakeUpstream) -> None:
    kept = {
        "headers": {"X-LLM-Mesh-Kept-At": str(int(time.time()) - 100)},
        "body": json.dumps(chat_completion("Old.")),
    }
    service.always(Answer(body={"request": {}, "response": kept}))
    world.start(policies=[caching(service, ttl="1h")])
    old = world.ask(said("hi"))
    assert_cached(old)
    assert 100 <= int(old.headers["age"]) < 200

    world.start(policies=[caching(service, ttl="10s")])
    assert_cached(world.ask(said("hi")), "miss")
