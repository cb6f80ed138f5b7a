"""`maxConcurrency`: no more calls at once, a bounded wait in order of arrival, then elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.resilience.meshes import FALLBACK, PRIMARY, Ledger, ask, provider, route, running


class Crowd:
    """An answer that counts how many calls are under way at once."""

    def __init__(self, seconds: float) -> None:
        self.most = 0
        self._seconds = seconds
        self._until: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, request: RecordedRequest) -> Answer:
        with self._lock:
            now = time.monotonic()
            self._until = [end for end in self._until if end > now] + [now + self._seconds]
            self.most = max(self.most, len(self._until))
        return Answer(body=chat_completion(), delay=self._seconds)


async def test_forty_callers_share_four_slots_and_all_are_served(primary: FakeUpstream) -> None:
    crowd = Crowd(0.02)
    primary.always(crowd)
    documents = (provider("primary", primary, maxConcurrency=4), route(PRIMARY))
    async with running(*documents) as mesh:
        answers = await asyncio.gather(*(ask(mesh) for _ in range(40)))
    assert Counter(answer.status for answer in answers) == {200: 40}
    assert 2 <= crowd.most <= 4
    assert len(primary.requests) == 40


async def test_who_comes_first_is_served_first(primary: FakeUpstream) -> None:
    gate = Gate()
    primary.script(Answer(body=chat_completion(), delay=gate))
    documents = (provider("primary", primary, maxConcurrency=1), route(PRIMARY))
    ledger = Ledger()
    async with running(*documents, ledger=ledger) as mesh:
        callers = [asyncio.create_task(ask(mesh, user="0"))]
        await asyncio.to_thread(primary.wait_for_requests, 1)
        for number in range(1, 12):
            callers.append(asyncio.create_task(ask(mesh, user=str(number))))
            await asyncio.sleep(0)
        gate.open()
        # One who comes when a slot is handed on must not take it from those who wait.
        callers[0].add_done_callback(
            lambda _: callers.append(asyncio.create_task(ask(mesh, user="late")))
        )
        await asyncio.gather(*callers)
        await callers[-1]
    order = [request.json()["user"] for request in primary.requests]
    assert order == [*map(str, range(12)), "late"]


async def test_who_has_waited_as_long_as_a_connection_may_take_goes_to_the_next_backend(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=gate))
    documents = (
        provider("primary", primary, maxConcurrency=2),
        provider("fallback", fallback),
        route(PRIMARY, FALLBACK, timeouts={"connect": "60ms"}),
    )
    async with running(*documents) as mesh:
        first = [asyncio.create_task(ask(mesh)) for _ in range(2)]
        await asyncio.to_thread(primary.wait_for_requests, 2)
        began = time.monotonic()
        answers = await asyncio.gather(*(ask(mesh) for _ in range(5)))
        waited = time.monotonic() - began
        gate.open()
        answers += await asyncio.gather(*first)
    providers = [answer.headers["x-llm-mesh-provider"] for answer in answers]
    assert providers == ["fallback"] * 5 + ["primary"] * 2
    # To wait is no attempt, and says nothing of the provider.
    assert {answer.headers["x-llm-mesh-attempts"] for answer in answers} == {"1"}
    assert waited >= 0.06
    assert mesh.health()["primary.example"].consecutive_failures == 0


async def test_without_another_backend_the_answer_is_503_with_retry_after(
    primary: FakeUpstream,
) -> None:
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=gate))
    documents = (
        provider("primary", primary, maxConcurrency=1),
        route(PRIMARY, timeouts={"connect": "40ms"}),
    )
    async with running(*documents) as mesh:
        first = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(primary.wait_for_requests, 1)
        second = await ask(mesh)
        gate.open()
        assert (await first).status == 200
    assert second.status == 503
    assert int(second.headers["retry-after"]) >= 1
    assert len(primary.requests) == 1


async def test_a_sibling_with_a_free_slot_is_taken_at_once(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    gate = Gate()
    primary.always(Answer(body=chat_completion(), delay=gate))
    refs = (
        {"providerHost": "primary.example", "weight": 2147483647},  # none but the first is asked
        {"providerHost": "fallback.example", "weight": 1},
    )
    documents = (provider("primary", primary, maxConcurrency=1), provider("fallback", fallback))
    async with running(*documents, route(*refs)) as mesh:
        first = asyncio.create_task(ask(mesh))
        await asyncio.to_thread(primary.wait_for_requests, 1)
        answers = await asyncio.gather(*(ask(mesh) for _ in range(10)))
        gate.open()
        await first
    assert {answer.headers["x-llm-mesh-provider"] for answer in answers} == {"fallback"}


async def test_a_stream_holds_its_slot_to_its_end(primary: FakeUpstream) -> None:
    gate, events = Gate(), chat_stream(["Good ", "morning"])
    primary.script(Stream([*events[:2], gate, *events[2:]]))
    documents = (provider("primary", primary, maxConcurrency=1), route(PRIMARY))
    async with running(*documents) as mesh:
        stream = asyncio.create_task(ask(mesh, stream=True))
        await asyncio.to_thread(gate.wait_reached)
        second = asyncio.create_task(ask(mesh))
        await asyncio.sleep(0.05)
        assert mesh.health()["primary.example"].in_flight == 1
        assert len(primary.requests) == 1
        gate.open()
        assert (await stream).status == (await second).status == 200
    assert len(primary.requests) == 2
