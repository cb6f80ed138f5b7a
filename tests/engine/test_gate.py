"""A burst of new connections to one destination: a few at a time, in order, none forgotten."""

from __future__ import annotations

import asyncio
import time

import pytest

from llm_mesh_middleware._engine.tasks.gate import Gate, in_turns

LONG_S, SHORT_S = 30.0, 0.02


async def test_as_many_as_there_are_places_enter_at_once() -> None:
    gate = Gate(places=2)
    await gate.enter(LONG_S)
    await gate.enter(LONG_S)
    third = asyncio.ensure_future(gate.enter(LONG_S))
    await asyncio.sleep(0)
    assert not third.done()

    gate.leave(has_passed=True)

    await third


async def test_who_waits_longest_is_next() -> None:
    gate, entered = Gate(places=1), list[int]()

    async def one(number: int) -> None:
        await gate.enter(LONG_S)
        entered.append(number)
        gate.leave(has_passed=True)

    await gate.enter(LONG_S)
    waiting = [asyncio.ensure_future(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    gate.leave(has_passed=True)
    await asyncio.gather(*waiting)

    assert entered == [0, 1, 2, 3, 4]


async def test_a_wait_ends_when_nobody_gets_through() -> None:
    gate = Gate(places=1)
    await gate.enter(LONG_S)
    with pytest.raises(TimeoutError):
        await gate.enter(SHORT_S)

    gate.leave(has_passed=False)

    await gate.enter(SHORT_S)  # the one that has timed out holds no place


@pytest.mark.slow
async def test_a_wait_goes_on_while_others_get_through() -> None:
    gate, limit_s = Gate(places=1), 1.0
    await gate.enter(limit_s)
    begun_at = asyncio.get_running_loop().time()
    last = asyncio.ensure_future(_in_turn(gate, limit_s, turns=4, each_s=0.4))

    gate.leave(has_passed=True)

    await last
    assert asyncio.get_running_loop().time() - begun_at > limit_s


async def _in_turn(gate: Gate, limit_s: float, *, turns: int, each_s: float) -> None:
    """Have several wait at once, each of whom keeps the place for `each_s`."""

    async def one() -> None:
        await gate.enter(limit_s)
        await asyncio.sleep(each_s)
        gate.leave(has_passed=True)

    await asyncio.gather(*(one() for _ in range(turns)))


@pytest.mark.parametrize("is_given", [False, True])
async def test_who_gives_up_leaves_the_place_to_the_next(is_given: bool) -> None:
    gate = Gate(places=1)
    await gate.enter(LONG_S)
    first, second = (asyncio.ensure_future(gate.enter(LONG_S)) for _ in range(2))
    await asyncio.sleep(0)

    if is_given:
        gate.leave(has_passed=True)
    first.cancel()
    if not is_given:
        gate.leave(has_passed=True)

    await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError):
        async with in_turns(SHORT_S):
            await asyncio.Event().wait()


async def test_a_process_that_was_busy_does_not_blame_the_provider() -> None:
    loop = asyncio.get_running_loop()
    opened = loop.create_future()
    loop.call_later(SHORT_S, opened.set_result, None)

    async with in_turns(SHORT_S * 5):
        loop.call_soon(time.sleep, SHORT_S * 10)  # longer than the limit
        await opened
