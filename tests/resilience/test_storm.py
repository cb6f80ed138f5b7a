"""Sixty callers at once, and providers that are down: no storm feeds itself."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

import pytest

from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.resilience.meshes import (
    DOWN,
    Ledger,
    VerdictFindings,
    ask,
    provider,
    route,
    running,
    two_tiers,
)

CALLERS = 60
NEVER_EJECTED = {"outlierDetection": {"consecutiveFailures": 1_000_000}}
QUICK = {"retry": {"backoff": "20ms"}}


def both(
    primary: FakeUpstream, fallback: FakeUpstream, **spec: object
) -> tuple[LLMProvider | LLMRoute, ...]:
    return two_tiers(primary, fallback, spec=spec, fallback_spec=spec, **QUICK)


async def all_at_once(mesh: Mesh, **members: object) -> list[VerdictFindings]:
    return await asyncio.gather(*(ask(mesh, **members) for _ in range(CALLERS)))


@pytest.mark.parametrize("status", [503, 429])
async def test_when_everything_is_down_attempts_stay_within_the_budget(
    primary: FakeUpstream, fallback: FakeUpstream, status: int
) -> None:
    refusal = Answer(status, body=error_body("no", code="overloaded"))
    primary.always(refusal)
    fallback.always(refusal)
    ledger, answers = Ledger(), Counter[int]()
    async with running(*both(primary, fallback, **NEVER_EJECTED), ledger=ledger) as mesh:
        began = time.monotonic()

        async def caller() -> None:
            for _ in range(5):
                answers[(await ask(mesh)).status] += 1

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        seconds = time.monotonic() - began
    attempts = len(primary.requests) + len(fallback.requests)
    requests = len(ledger.entries)
    assert attempts == ledger.sent
    assert set(answers) == {status}
    assert requests == 5 * CALLERS
    assert attempts <= 1.2 * requests + 3 * math.ceil(seconds)
    assert attempts > 1.1 * requests  # the budget is used


async def test_when_everything_is_down_and_ejected_nothing_is_tried_twice(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(DOWN)
    fallback.always(DOWN)
    async with running(*both(primary, fallback)) as mesh:
        first = await all_at_once(mesh)
        called = len(primary.requests) + len(fallback.requests)
        second = await all_at_once(mesh)
        assert {s.state for s in mesh.health().values()} == {"ejected"}
    assert called <= 1.2 * CALLERS + 3
    assert len(primary.requests) + len(fallback.requests) == called + CALLERS
    assert {answer.status for answer in (*first, *second)} == {503}
    assert {answer.headers["x-llm-mesh-attempts"] for answer in second} == {"1"}


async def test_when_nothing_can_be_reached_nobody_is_called_any_more(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    async with running(*both(primary, fallback)) as mesh:
        primary.close()
        fallback.close()
        first = await all_at_once(mesh)
        second = await all_at_once(mesh)
        assert {s.state for s in mesh.health().values()} == {"ejected"}
    assert {answer.status for answer in first} == {502}
    assert {answer.status for answer in second} == {503}
    assert all(1 <= int(answer.headers["retry-after"]) <= 5 for answer in second)


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize(
    ("fault", "stream"),
    [(DOWN, False), (Cut(how="reset"), True)],
)
async def test_a_sound_fallback_serves_everybody_however_many_come_at_once(
    primary: FakeUpstream, fallback: FakeUpstream, fault: Scripted, stream: bool, is_warm: bool
) -> None:
    """Also when nobody has used it before: those over the budget wait for the first answers."""
    async with running(*both(primary, fallback, **NEVER_EJECTED)) as mesh:
        if is_warm:
            primary.always(DOWN)
            assert (await ask(mesh)).status == 200
        primary.always(fault)
        answers = [*await all_at_once(mesh, stream=stream), *await all_at_once(mesh, stream=stream)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-llm-mesh-attempts"] for answer in answers} == {"2"}
    assert len(fallback.requests) == 2 * CALLERS + is_warm
    # The connection that is kept from before and then reset is replaced once, uncounted.
    assert len(primary.requests) - len(fallback.requests) in (0, int(is_warm and stream))


async def test_long_streams_vouch_for_the_fallback_when_they_begin(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    events = chat_stream(["Good ", "morning"])
    primary.always(DOWN)
    gate = Gate()
    fallback.always(Stream([*events[:2], gate, *events[2:]]))
    async with running(*both(primary, fallback, **NEVER_EJECTED)) as mesh:
        calls = asyncio.create_task(all_at_once(mesh, stream=True))
        # Nobody waits for a stream to end: none does before all have come.
        await asyncio.to_thread(fallback.wait_for_requests, CALLERS, 20)
        gate.open()
        answers = await calls
    assert {answer.status for answer in answers} == {200}
    assert len(fallback.requests) == CALLERS


async def test_those_who_wait_for_news_of_a_fallback_give_up_with_it(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(DOWN)
    fallback.always(Answer(503, body=error_body("down", code="down_too"), delay=0.1))
    async with running(*both(primary, fallback, **NEVER_EJECTED)) as mesh:
        began = time.monotonic()
        answers = await all_at_once(mesh)
        seconds = time.monotonic() - began
    assert {answer.status for answer in answers} == {503}
    assert len(fallback.requests) <= 0.2 * CALLERS + 3 * math.ceil(seconds)
    assert seconds < 10


async def test_who_goes_away_while_waiting_for_news_leaves_nothing_behind(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(DOWN)
    gate, ledger = Gate(), Ledger()
    fallback.always(Answer(body=chat_completion(), delay=gate))
    async with running(*both(primary, fallback, **NEVER_EJECTED), ledger=ledger) as mesh:
        asking = [asyncio.create_task(ask(mesh)) for _ in range(CALLERS)]
        await asyncio.to_thread(fallback.wait_for_requests, 15)
        for task in asking[1::2]:
            task.cancel()
        gate.open()
        answers = await asyncio.gather(*asking, return_exceptions=True)
    ended = [answer for answer in answers if isinstance(answer, VerdictFindings)]
    assert len(ended) == CALLERS / 2
    assert {answer.status for answer in ended} == {200}
    assert all(entry.events[-1] in ("ended 200", "ended None") for entry in ledger.entries)


async def test_a_dead_backend_of_a_split_costs_the_callers_of_the_other_nothing(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(Cut(how="reset"))
    refs = ({"providerHost": "primary.example"}, {"providerHost": "fallback.example"})
    documents = (provider("primary", primary), provider("fallback", fallback))
    async with running(*documents, route(*refs, **QUICK)) as mesh:
        answers = [answer for _ in range(3) for answer in await all_at_once(mesh)]
        states = {name: status.state for name, status in mesh.health().items()}
    assert {answer.status for answer in answers} == {200}
    assert states == {"primary.example": "ejected", "fallback.example": "healthy"}
    assert len(primary.requests) <= CALLERS  # the first wave, and no more
