"""One timer for many steps: what `asyncio.timeout_at` would do for each of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvloop

from llm_mesh_middleware._engine.tasks.alarm import Alarm

SOON_S, LATER_S = 0.02, 60.0
NewLoop = Callable[[], asyncio.AbstractEventLoop]


def alarm_here() -> Alarm:
    """One for the running loop."""
    return Alarm.of(asyncio.get_running_loop())


@contextmanager
def step_of(alarm: Alarm, when: float) -> Iterator[None]:
    """A step as the driver has it."""
    alarm.arm(when)
    try:
        yield
    except asyncio.CancelledError:
        if not alarm.is_mine():
            raise
        raise TimeoutError from None
    finally:
        if alarm.has_fired:
            alarm.is_mine()
        alarm.task = None


def is_left_alone() -> bool:
    """Whether nobody has cancelled the running test."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() == 0


async def test_a_step_that_takes_too_long_ends_with_a_timeout() -> None:
    alarm, now = alarm_here(), asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError), step_of(alarm, now + SOON_S):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_each_step_has_its_own_limit_whatever_came_before() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    for first_s, second_s in ((SOON_S, SOON_S), (LATER_S, SOON_S)):
        with step_of(alarm, loop.time() + first_s):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), step_of(alarm, loop.time() + second_s):
            await asyncio.Event().wait()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_limit_in_the_past_ends_what_waits(new_loop: NewLoop) -> None:
    async def steps() -> None:
        alarm, loop = alarm_here(), asyncio.get_running_loop()
        for limit_s in (-LATER_S, LATER_S):
            with step_of(alarm, loop.time() + limit_s):
                pass
        with pytest.raises(TimeoutError), step_of(alarm, loop.time() - LATER_S):
            await asyncio.Event().wait()
        assert is_left_alone()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(steps())


async def test_a_timer_that_was_set_for_an_earlier_step_ends_no_later_one() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    with step_of(alarm, loop.time() + SOON_S):
        await asyncio.sleep(0)
    with step_of(alarm, loop.time() + LATER_S):
        await asyncio.sleep(SOON_S * 1.5)
    alarm.close()
    assert is_left_alone()


async def test_nothing_is_ended_between_two_steps() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    with step_of(alarm, loop.time() + SOON_S):
        await asyncio.sleep(0)
    await asyncio.sleep(SOON_S * 1.5)
    assert is_left_alone()


async def test_a_cancellation_by_somebody_else_stays_one() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    loop.call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError), step_of(alarm, loop.time() + LATER_S):
        await asyncio.Event().wait()
    task.uncancel()
    alarm.close()


async def test_a_cancellation_beside_the_timeout_wins() -> None:
    alarm, loop = alarm_here(), asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    loop.call_at(loop.time() + SOON_S, task.cancel)
    with pytest.raises(asyncio.CancelledError), step_of(alarm, loop.time() + SOON_S):
        await asyncio.Event().wait()
    task.uncancel()


async def test_an_error_of_the_step_is_not_hidden_by_the_timeout() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError from None

    alarm, now = alarm_here(), asyncio.get_running_loop().time()
    with pytest.raises(KeyError), step_of(alarm, now + SOON_S):
        await fail_when_cancelled()


async def test_an_alarm_that_rests_serves_the_next_call_with_its_timer_still_set() -> None:
    first, loop = alarm_here(), asyncio.get_running_loop()
    with step_of(first, loop.time() + SOON_S):
        pass
    first.rest()
    second = alarm_here()
    assert second is first
    assert alarm_here() is not first
    with step_of(second, loop.time() + LATER_S):
        await asyncio.sleep(SOON_S * 1.5)  # the timer of the first call is due
    with pytest.raises(TimeoutError), step_of(second, loop.time() + SOON_S):
        await asyncio.Event().wait()
    assert is_left_alone()


async def test_few_alarms_rest_and_none_that_does_ends_anything() -> None:
    loop = asyncio.get_running_loop()
    alarms = [alarm_here() for _ in range(100)]
    for alarm in alarms:
        with step_of(alarm, loop.time() + SOON_S):
            pass
        alarm.rest()
    await asyncio.sleep(SOON_S * 1.5)
    assert is_left_alone()
    assert len({id(alarm_here()) for _ in range(100)} & set(map(id, alarms))) == 64


def test_alarms_that_rest_do_not_keep_their_loop() -> None:
    async def call() -> weakref.ref[asyncio.AbstractEventLoop]:
        alarm, loop = alarm_here(), asyncio.get_running_loop()
        with step_of(alarm, loop.time() + LATER_S):
            pass
        alarm.rest()
        return weakref.ref(loop)

    loop = asyncio.run(call())
    gc.collect()
    assert loop() is None
