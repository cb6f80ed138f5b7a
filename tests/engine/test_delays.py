"""Timers of one length: in order, never early, and none that was removed."""

from __future__ import annotations

import asyncio
from time import monotonic

from llm_mesh_middleware._engine.tasks.delays import Delays
from llm_mesh_middleware._engine.tasks.per_loop import per_loop

SECONDS = 0.02


class Timed:
    def __init__(self, seen: list[Timed]) -> None:
        self._seen = seen
        self.is_due = asyncio.Event()
        self.at = 0.0

    def due(self) -> None:
        self._seen.append(self)
        self.at = monotonic()
        self.is_due.set()


async def test_timers_are_due_in_order_and_not_early() -> None:
    delays, seen = Delays(asyncio.get_running_loop(), SECONDS), list[Timed]()
    first, second = Timed(seen), Timed(seen)
    began_at = monotonic()
    delays.begin(first)
    await asyncio.sleep(SECONDS / 2)
    delays.begin(second)
    await second.is_due.wait()
    assert seen == [first, second]
    assert first.at - began_at >= SECONDS - 0.002
    assert not delays.waiting


async def test_a_timer_that_was_removed_is_never_due() -> None:
    delays, seen = Delays(asyncio.get_running_loop(), SECONDS), list[Timed]()
    removed, kept = Timed(seen), Timed(seen)
    delays.begin(removed)
    delays.begin(kept)
    delays.waiting.pop(removed)
    await kept.is_due.wait()
    assert seen == [kept]


async def test_a_timer_can_begin_when_another_was_due() -> None:
    delays, seen = Delays(asyncio.get_running_loop(), SECONDS), list[Timed]()
    for _ in range(2):
        timed = Timed(seen)
        delays.begin(timed)
        await timed.is_due.wait()
    assert len(seen) == 2


def test_each_event_loop_has_its_own_object() -> None:
    made_for = per_loop(lambda loop: [loop])
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        assert made_for(one) is made_for(one)
        assert made_for(other) is not made_for(one)
        assert made_for(one) == [one]
    finally:
        one.close()
        other.close()
