"""A slow request is sent to a second backend too, where a rule says so (`retry.hedgeAfter`).

A hedge is an attempt: it counts among `retry.attempts`, so `attempts: 0` means no hedge either.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from llm_mesh_middleware import LLMProvider, LLMRoute
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    chat_completion,
    error_body,
    token_usage,
)
from tests.canaries import canary
from tests.resilience.meshes import FALLBACK, PRIMARY, Ledger, ask, provider, route, running

HEDGED = {"retry": {"hedgeAfter": "30ms", "backoff": "1ms"}}


def mesh_of(
    primary: FakeUpstream, fallback: FakeUpstream, **rule: object
) -> tuple[LLMProvider | LLMRoute, ...]:
    return (
        provider("primary", primary),
        provider("fallback", fallback),
        route(PRIMARY, FALLBACK, **(HEDGED | rule)),
    )


def counts(*upstreams: FakeUpstream) -> list[int]:
    return [len(upstream.requests) for upstream in upstreams]


async def seconds_until_left(upstream: FakeUpstream, since: float) -> float:
    """How long after `since` the mesh went away from the only request; it must have."""
    (request,) = upstream.requests
    await asyncio.to_thread(request.wait_disconnected, 1.0)
    assert request.disconnected_at is not None
    return request.disconnected_at - since


async def test_the_second_call_wins_over_a_slow_first_which_is_cancelled_at_once(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    ledger = Ledger()
    primary.always(Cut(how="stall"))
    async with running(*mesh_of(primary, fallback), ledger=ledger) as mesh:
        answer = await ask(mesh)
        assert await seconds_until_left(primary, time.monotonic()) < 0.1
    assert answer.status == 200
    assert answer.headers["x-llm-mesh-provider"] == "fallback"
    assert answer.headers["x-llm-mesh-attempts"] == "2"
    assert counts(primary, fallback) == [1, 1]
    (entry,) = ledger.entries
    assert entry.events == [
        "selected",
        "sending primary",
        "sending fallback",
        "answered 200",
        "ended 200",
    ]


async def test_each_call_has_its_own_key_path_model_and_headers(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(Cut(how="stall"))
    async with running(*mesh_of(primary, fallback)) as mesh:
        assert (await ask(mesh)).status == 200
    request = fallback.requests[0]
    assert request.path == "/fallback/v1/chat/completions"
    assert request.json()["model"] == "fallback-model"
    assert request.header("x-fallback") == "1"
    assert request.header("x-primary") is None


async def test_a_quick_answer_needs_no_second_call(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    rule = {"retry": {"hedgeAfter": "2s"}}
    async with running(*mesh_of(primary, fallback, **rule)) as mesh:
        answer = await ask(mesh)
    assert answer.headers["x-llm-mesh-attempts"] == "1"
    assert counts(primary, fallback) == [1, 0]


async def test_the_first_may_still_win(primary: FakeUpstream, fallback: FakeUpstream) -> None:
    gate = Gate()
    primary.always(Answer(body=chat_completion(usage=token_usage(3, 4)), delay=gate))
    fallback.always(Cut(how="stall"))
    ledger = Ledger()
    async with running(*mesh_of(primary, fallback), ledger=ledger) as mesh:
        asking = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(fallback.wait_for_requests, 1)
        gate.open()
        answer = await asking
        assert await seconds_until_left(fallback, time.monotonic()) < 0.1
    assert answer.status == 200
    assert answer.headers["x-llm-mesh-provider"] == "primary"
    assert answer.headers["x-llm-mesh-attempts"] == "2"
    (entry,) = ledger.entries
    assert entry.usage is not None
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (3, 4)


@pytest.mark.parametrize(
    "rule",
    [
        {"retry": {}},  # off by default
        {"retry": {"hedgeAfter": "30ms", "attempts": 0}},
    ],
)
async def test_without_a_word_or_an_attempt_there_is_no_hedge(
    primary: FakeUpstream, fallback: FakeUpstream, rule: dict[str, object]
) -> None:
    primary.always(Answer(body=chat_completion(), delay=0.12))
    async with running(*mesh_of(primary, fallback, **rule)) as mesh:
        answer = await ask(mesh)
    assert answer.headers["x-llm-mesh-provider"] == "primary"
    assert counts(primary, fallback) == [1, 0]


async def test_streams_are_not_hedged(primary: FakeUpstream, fallback: FakeUpstream) -> None:
    config = {"model": "m", "apiKey": canary("primary"), "stream": True}
    streaming = provider("primary", primary, configs={"defaultConfig": {"openAIConfig": config}})
    documents = (streaming, provider("fallback", fallback), route(PRIMARY, FALLBACK, **HEDGED))
    primary.always(Cut(how="stall"))
    async with running(*documents, first_byte_timeout=0.3) as mesh:
        answer = await ask(mesh, stream=True)
    # After the limit for the first byte there was a fallback, and not before.
    assert answer.headers["x-llm-mesh-attempts"] == "2"
    late = fallback.requests[0].received_at - primary.requests[0].received_at
    assert late > 0.15


async def test_there_is_no_hedge_without_a_second_backend(primary: FakeUpstream) -> None:
    primary.always(Answer(body=chat_completion(), delay=0.1))
    async with running(provider("primary", primary), route(PRIMARY, **HEDGED)) as mesh:
        answer = await ask(mesh)
    assert answer.headers["x-llm-mesh-attempts"] == "1"
    assert counts(primary) == [1]


async def test_a_first_that_fails_late_loses_and_counts_as_a_failure(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    fails, answers = Gate(), Gate()
    primary.always(Answer(503, body=error_body("down"), delay=fails))
    fallback.always(Answer(body=chat_completion(), delay=answers))
    ledger = Ledger()
    async with running(*mesh_of(primary, fallback), ledger=ledger) as mesh:
        asking = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(fallback.wait_for_requests, 1)
        fails.open()
        assert await asyncio.to_thread(primary.requests[0].wait_answered)
        await asyncio.sleep(0.02)
        answers.open()
        answer = await asking
        failures = mesh.health()["primary.example"].consecutive_failures
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, "fallback")
    assert failures == 1
    assert sorted(ledger.entries[0].events) == sorted(
        [
            "selected",
            "sending primary",
            "sending fallback",
            "answered 503",
            "answered 200",
            "ended 200",
        ]
    )


async def test_a_hedge_that_fails_does_not_hurt_the_first(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=gate))
    fallback.always(Cut(how="reset"))
    async with running(*mesh_of(primary, fallback)) as mesh:
        asking = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(fallback.wait_for_requests, 1)
        assert await asyncio.to_thread(fallback.wait_closed)
        await asyncio.sleep(0.05)  # until that is noticed here
        gate.open()
        answer = await asking
        failures = mesh.health()["fallback.example"].consecutive_failures
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, "primary")
    assert counts(primary, fallback) == [1, 1]
    assert failures == 1


async def test_when_both_are_bad_a_real_answer_goes_before_a_failure(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(Answer(503, body=error_body("overloaded"), delay=0.06))
    fallback.always(Cut(how="reset"))
    rule = {"retry": {"hedgeAfter": "20ms", "attempts": 1}}
    async with running(*mesh_of(primary, fallback, **rule)) as mesh:
        answer = await ask(mesh)
    assert answer.status == 503
    assert b"overloaded" in answer.body
    assert answer.headers["x-llm-mesh-attempts"] == "2"
    assert answer.headers["x-should-retry"] == "false"


async def test_a_request_makes_at_most_one_extra_call(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    with FakeUpstream(tls=False) as third:
        documents = (
            provider("primary", primary),
            provider("fallback", fallback),
            provider("third", third),
            route(PRIMARY, FALLBACK, {"providerHost": "third.example", "priority": 2}, **HEDGED),
        )
        slow = Answer(body=chat_completion(), delay=0.15)
        for upstream in (primary, fallback, third):
            upstream.always(slow)
        async with running(*documents) as mesh:
            assert (await ask(mesh)).status == 200
        assert counts(primary, fallback, third) == [1, 1, 0]


async def test_a_client_that_goes_while_both_run_closes_both(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(Cut(how="stall"))
    fallback.always(Cut(how="stall"))
    async with running(*mesh_of(primary, fallback)) as mesh:
        asking = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(fallback.wait_for_requests, 1)
        asking.cancel()
        cancelled = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await seconds_until_left(primary, cancelled) < 0.1
        assert await seconds_until_left(fallback, cancelled) < 0.1
        assert [s.consecutive_failures for s in mesh.health().values()] == [0, 0]
