"""Run a coroutine to completion even if the caller is cancelled.

Some libraries leave a connection open, or count it as used for ever, if they are cancelled between
two of their steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["run_interruptible", "run_to_completion"]

Result = TypeVar("Result")
Interrupt = Callable[[asyncio.Task[Any]], Awaitable[object]]


async def run_interruptible(
    coroutine: Coroutine[Any, Any, Result],
    interrupt: Interrupt,
    discard: Callable[[Result], Awaitable[object]] | None = None,
) -> Result:
    """Run `coroutine` in a separate task, and return its result.

    Args:
        coroutine: never sees a cancellation of the caller.
        interrupt: called with the task if the caller is cancelled; makes it end soon, in a way
            that `coroutine` can clean up after.
        discard: called with a result that the cancelled caller can no longer take.

    The caller's cancellation continues when the task has ended.
    """
    task = asyncio.create_task(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await run_to_completion(_end(task, interrupt, discard))
        raise


async def run_to_completion(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run `coroutine` to its end, ignore its failure, and then let a cancellation continue."""
    task = asyncio.create_task(coroutine)
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


async def _end(
    task: asyncio.Task[Result],
    interrupt: Interrupt,
    discard: Callable[[Result], Awaitable[object]] | None,
) -> None:
    await interrupt(task)
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is None and discard is not None:
        await discard(task.result())
