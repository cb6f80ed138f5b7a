"""Awaiting what nearly always need not wait, under a limit that costs nothing until it does."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

__all__ = ["within"]

Result = TypeVar("Result")


async def within(seconds: float, awaitable: Awaitable[Result]) -> Result:
    """Await it; if it has to wait, for at most `seconds` from then on.

    Raises:
        TimeoutError: the time is up.
    """
    steps = awaitable.__await__()
    try:
        awaited = next(steps)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    async with asyncio.timeout(seconds):
        return await _go_on(steps, awaited)


@types.coroutine
def _go_on(steps: Generator[Any, Any, Result], awaited: object) -> Generator[Any, Any, Result]:
    """Return what `steps` return, which were started by hand and wait for `awaited`."""
    while True:
        failure: BaseException | None = None
        try:
            yield awaited
        except BaseException as exc:  # the task was cancelled: that is for `steps` to know
            failure = exc
        try:
            awaited = next(steps) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result
