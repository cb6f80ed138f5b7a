"""Ending a task from outside: the error comes out where it was entered, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from llm_mesh_middleware import ClientDisconnected
from llm_mesh_middleware._engine.tasks.interrupt import Interrupt

_DROPPED, _LATER = ClientDisconnected("gone"), ClientDisconnected("later")


async def _wait(*errors: Exception, seconds: float = 1) -> None:
    """Wait inside an interrupt that is fired with each of the errors."""
    with Interrupt() as interrupt:
        for error in errors:
            asyncio.get_running_loop().call_soon(interrupt.fire, error)
        await asyncio.sleep(seconds)


async def _cancellations() -> int:
    """How often the task still counts as cancelled, after it has gone on."""
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_fired_interrupt_raises_its_error_where_it_was_entered() -> None:
    with pytest.raises(ClientDisconnected) as caught:
        await _wait(_DROPPED)
    assert caught.value is _DROPPED
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert await _cancellations() == 0


async def test_the_first_of_two_errors_counts() -> None:
    with pytest.raises(ClientDisconnected, match="gone"):
        await _wait(_DROPPED, _LATER)
    assert await _cancellations() == 0


async def test_firing_outside_does_nothing() -> None:
    interrupt = Interrupt()
    interrupt.fire(_DROPPED)
    with interrupt:
        await asyncio.sleep(0)
    interrupt.fire(_DROPPED)
    assert await _cancellations() == 0


async def test_an_error_of_the_body_goes_before_the_interrupt() -> None:
    async def body() -> None:
        with Interrupt() as interrupt:
            asyncio.get_running_loop().call_soon(interrupt.fire, _DROPPED)
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError):
        await body()
    assert await _cancellations() == 0


async def test_a_body_that_suppresses_the_cancellation_has_ended_well() -> None:
    with Interrupt() as interrupt:
        asyncio.get_running_loop().call_soon(interrupt.fire, _DROPPED)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
    assert await _cancellations() == 0


@pytest.mark.parametrize("errors", [(), (_DROPPED,)], ids=["alone", "beside a fired interrupt"])
async def test_the_cancellation_of_somebody_else_is_never_swallowed(
    errors: tuple[Exception, ...],
) -> None:
    task = asyncio.create_task(_wait(*errors))
    await asyncio.sleep(0)  # it waits, and its interrupt fires in the next turn
    asyncio.get_running_loop().call_soon(task.cancel, "theirs")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_timeout_inside_is_still_a_timeout() -> None:
    async def body() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)

    with Interrupt(), pytest.raises(TimeoutError):
        await body()
    assert await _cancellations() == 0


async def test_a_timeout_around_is_still_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_wait(), 0.01)
    assert await _cancellations() == 0


async def test_an_interrupt_passes_through_a_timeout_inside() -> None:
    async def body(interrupt: Interrupt) -> None:
        with interrupt:
            async with asyncio.timeout(1):
                asyncio.get_running_loop().call_soon(interrupt.fire, _DROPPED)
                await asyncio.sleep(1)

    with pytest.raises(ClientDisconnected, match="gone"):
        await body(Interrupt())
    assert await _cancellations() == 0


async def test_of_two_nested_interrupts_each_raises_its_own_error() -> None:
    async def body(outer: Interrupt) -> None:
        with outer:
            with pytest.raises(ClientDisconnected, match="gone"):
                await _wait(_DROPPED)
            asyncio.get_running_loop().call_soon(outer.fire, _LATER)
            await _wait()

    with pytest.raises(ClientDisconnected, match="later"):
        await body(Interrupt())
    assert await _cancellations() == 0


def test_an_interrupt_needs_a_task() -> None:
    with pytest.raises(RuntimeError), Interrupt():
        pass
