"""Calls into a running event loop, and the end of its tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

__all__ = ["end_task", "from_any_thread"]


def from_any_thread(call: Callable[[], object]) -> Callable[[], None]:
    """Return a function that makes the call in the running loop, for use by any thread.

    It does nothing after the loop has ended.
    """
    loop = asyncio.get_running_loop()

    def schedule() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call)

    return schedule


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, if there is one, and wait until it has ended."""
    if task is not None:
        task.cancel()
        await asyncio.wait((task,))
