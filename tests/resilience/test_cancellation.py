"""Who goes away while the mesh waits, for whatever it waits, leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Drip,
    FakeUpstream,
    Gate,
    Raw,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.conftest import slow
from tests.resilience.meshes import DOWN, Ledger, VerdictFindings, ask, running, two_tiers


async def until(is_so) -> None:  # type: ignore[no-untyped-def]
    """Wait until it is so, for five seconds at most."""
    async with asyncio.timeout(5.0):
        while not is_so():
            await asyncio.sleep(0.002)


async def cancel(task: asyncio.Task[VerdictFindings]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("stream", [False, True])
async def test_while_a_retry_sleeps(
    primary: FakeUpstream, fallback: FakeUpstream, stream: bool
) -> None:
    primary.always(Answer(429, [("retry-after", "5")], error_body("slow down")))
    ledger = Ledger()
    async with running(*two_tiers(primary, fallback), ledger=ledger) as mesh:
        task = asyncio.create_task(ask(mesh, stream=stream))
        await until(lambda: "answered 429" in str(ledger.entries and ledger.entries[0].events))
        await asyncio.sleep(0.02)
        assert not task.done()
        # Nothing is held during the pause.
        assert {status.in_flight for status in mesh.health().values()} == {0}
        await cancel(task)
        assert mesh.health()["primary.example"].in_flight == 0
    assert ledger.entries[0].events == [
        "selected",
        "sending primary",
        "answered 429",
        "ended None",
    ]
    assert len(primary.requests) == 1
    assert fallback.requests == []


async def test_while_waiting_for_a_slot_the_next_in_the_queue_gets_it(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    gate = Gate()
    primary.script(Answer(body=chat_completion("first"), delay=gate))
    ledger = Ledger()
    spec: dict[str, object] = {"maxConcurrency": 1}
    async with running(*two_tiers(primary, fallback, spec=spec), ledger=ledger) as mesh:
        first = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(primary.wait_for_requests, 1)
        waiting = [asyncio.create_task(ask(mesh)) for _ in range(4)]
        await until(lambda: len(ledger.entries) == 5)
        await asyncio.sleep(0.01)
        await cancel(waiting[0])
        await cancel(waiting[2])
        gate.open()
        assert (await first).status == 200
        answers = [await waiting[1], await waiting[3]]
        assert mesh.health()["primary.example"].in_flight == 0
    assert [answer.headers["x-llm-mesh-provider"] for answer in answers] == ["primary"] * 2
    assert len(primary.requests) == 3
    assert fallback.requests == []


async def test_in_the_moment_in_which_the_slot_comes_free(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    """The slot is given to a request that is cancelled before it comes to run."""
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=gate))
    spec: dict[str, object] = {"maxConcurrency": 1}
    async with running(*two_tiers(primary, fallback, spec=spec)) as mesh:
        first = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(primary.wait_for_requests, 1)
        second, third = (asyncio.create_task(ask(mesh)) for _ in range(2))
        await asyncio.sleep(0.01)
        gate.open()
        first.add_done_callback(lambda _: second.cancel())
        assert (await third).status == 200
        await asyncio.gather(first, second, return_exceptions=True)
        assert mesh.health()["primary.example"].in_flight == 0


@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
@pytest.mark.parametrize(
    "fault", [Cut(how="stall"), Cut(Answer(body=chat_completion()), at=0.5, how="stall")]
)
async def test_while_an_answer_is_awaited_the_connection_is_closed_within_100_ms(
    primary: FakeUpstream, fallback: FakeUpstream, fault: Scripted, engine: str
) -> None:
    primary.always(fault)
    async with running(*two_tiers(primary, fallback), upstream_client=engine) as mesh:
        task = asyncio.create_task(ask(mesh))
        (request,) = await asyncio.to_thread(primary.wait_for_requests, 1)
        await asyncio.sleep(0.02)
        await cancel(task)
        cancelled = time.monotonic()
        await asyncio.to_thread(request.wait_disconnected)
        assert request.disconnected_at is not None
        assert request.disconnected_at - cancelled < 0.1
        status = mesh.health()["primary.example"]
        assert (status.in_flight, status.consecutive_failures) == (0, 0)
    assert fallback.requests == []


async def test_while_a_probe_runs_its_place_goes_to_another(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.script(DOWN, DOWN, Cut(how="stall"))
    spec: dict[str, object] = {
        "outlierDetection": {"consecutiveFailures": 2, "baseEjectionTime": "20ms"}
    }
    async with running(*two_tiers(primary, fallback, spec=spec)) as mesh:
        for _ in range(2):
            assert (await ask(mesh)).headers["x-llm-mesh-provider"] == "fallback"
        assert mesh.health()["primary.example"].ejections == 1
        await until(lambda: mesh.health()["primary.example"].state == "half_open")
        probe = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(primary.wait_for_requests, 3)
        assert (await ask(mesh)).headers["x-llm-mesh-provider"] == "fallback"
        await cancel(probe)
        assert mesh.health()["primary.example"].state == "half_open"
        assert (await ask(mesh)).headers["x-llm-mesh-provider"] == "primary"
        assert mesh.health()["primary.example"].state == "healthy"


EVENTS = chat_stream(["Good ", "morning ", "to ", "you"])
SOUND: tuple[Scripted, ...] = (
    Answer(body=chat_completion(), delay=0.02),
    Stream([*EVENTS[:3], 0.02, *EVENTS[3:]]),
)
MENU: tuple[Scripted, ...] = (
    *SOUND * 5,
    DOWN,
    Answer(429, [("retry-after", "0.02")], error_body("slow down")),
    Answer(400, body=error_body("no", code="context_length_exceeded")),
    Cut(how="reset"),
    Cut(how="fin"),
    Cut(how="stall"),
    Cut(Stream(EVENTS), at=0.5, how="reset"),
    Cut(Stream(EVENTS), at=0.7, how="stall"),
    Cut(Answer(body=chat_completion()), at=0.8, how="fin"),
    Drip(Answer(body=chat_completion()), interval=0.0005, size=40),
    Stream([*EVENTS[:3], b"data: {oops\n\n"]),
    Raw(b"SSH-2.0-OpenSSH_9.6\r\n", end="fin"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "count", "seed"),
    [
        ("aiohttp", 300, 1),
        ("httpx", 60, 1),
        *slow(("aiohttp", 300, 2), *(("httpx", 60, seed) for seed in range(2, 9))),
    ],
)
async def test_random_faults_and_departures_leave_nothing_behind(
    primary: FakeUpstream, fallback: FakeUpstream, engine: str, count: int, seed: int
) -> None:
    draw = random.Random(seed)
    for upstream in (primary, fallback):
        answers = [draw.choice(MENU) for _ in range(4 * count)]
        upstream.script(*answers)
    spec: dict[str, object] = {
        "maxConcurrency": 12,
        "outlierDetection": {"consecutiveFailures": 6, "baseEjectionTime": "5ms"},
    }
    rule: dict[str, object] = {
        "retry": {
            "backoff": "10ms",
            "hedgeAfter": "15ms",
            "codes": [429, 503, "context_length_exceeded"],
        },
        "timeouts": {"connect": "50ms", "firstByte": "80ms", "idle": "60ms", "request": "1s"},
    }
    ledger, outcomes = Ledger(), Counter[str]()
    both = two_tiers(primary, fallback, spec=spec, **rule)
    async with running(*both, ledger=ledger, upstream_client=engine) as mesh:
        await _departures(mesh, draw, outcomes, count)
        await until(lambda: all(s.in_flight == 0 for s in mesh.health().values()))
        for upstream in (primary, fallback):  # idle connections may stay, those in use may not
            assert await _is_left_alone(upstream)
    assert outcomes["gone"] > count / 10
    if engine == "aiohttp":  # httpx is slower, and may miss every limit on a busy machine
        assert outcomes["200"] > count / 10
    assert len(ledger.entries) == count
    for entry in ledger.entries:
        assert sum(event.startswith("ended") for event in entry.events) == 1
        assert entry.events[-1].startswith("ended")


async def _is_left_alone(upstream: FakeUpstream) -> bool:
    """Whether no answer is under way; one that has just been sent whole counts for a moment."""
    for _ in range(20):
        await asyncio.to_thread(upstream.drop_connections)
        if await asyncio.to_thread(upstream.wait_closed, 0.05):
            return True
    return False


async def _departures(mesh: Mesh, draw: random.Random, outcomes: Counter[str], count: int) -> None:
    """So many requests, some at once, and a good part of their clients goes away."""

    async def one() -> None:
        task = asyncio.create_task(ask(mesh, stream=draw.random() < 0.5))
        if draw.random() < 0.6:
            await asyncio.sleep(draw.random() * 0.06)
            task.cancel()
        await asyncio.wait((task,))
        outcomes["gone" if task.cancelled() else str(task.result().status)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
            if draw.random() < 0.6:
                await asyncio.sleep(0.003)
