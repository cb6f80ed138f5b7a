"""Steps of a library that a cancellation must not land in: they end by themselves, soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["finished", "interruptible"]

Result = TypeVar("Result")
Interrupt = Callable[[asyncio.Task[Any]], Awaitable[object]]


async def interruptible(
    step: Coroutine[Any, Any, Result],
    interrupt: Interrupt,
    discard: Callable[[Result], Awaitable[object]] | None = None,
) -> Result:
    """What `step` returns; it runs in a task of its own.

    If the caller is cancelled, `interrupt` is given the task and makes it fail from outside, in a
    way that it cleans up after. A result that comes all the same is given to `discard`. The caller
    goes on being cancelled when all of that is done, a moment later.
    """
    task = asyncio.create_task(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finished(_see_off(task, interrupt, discard))
        raise


async def finished(step: Coroutine[Any, Any, object]) -> None:
    """Run `step` to its end, even if the caller is cancelled meanwhile; its failure is dropped."""
    task = asyncio.create_task(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as exc:
            cancelled = exc
    if not task.cancelled():
        task.exception()
    if cancelled is not None:
        raise cancelled


async def _see_off(
    task: asyncio.Task[Result],
    interrupt: Interrupt,
    discard: Callable[[Result], Awaitable[object]] | None,
) -> None:
    await interrupt(task)
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is None and discard is not None:
        await discard(task.result())
