"""Await something that rarely waits, with a timeout that costs nothing until it does."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["begun", "result_of", "within"]

Result = TypeVar("Result")
_OVER = object()


async def within(seconds: float | None, awaitable: Awaitable[Result]) -> Result:
    """Await it, for at most `seconds` once it has to wait.

    Raises:
        TimeoutError: the time is up.
    """
    found = result_of(seconds, awaitable)
    result: Result = await found if isinstance(found, types.CoroutineType) else found  # type: ignore[assignment]
    return result


def begun(awaitable: Awaitable[None]) -> Coroutine[Any, Any, None] | None:
    """Begin to await it; return what awaits the rest, None if there is none.

    What never waits so takes no coroutine more.
    """
    steps = awaitable.__await__()
    awaited = next(steps, _OVER)  # without an exception, which would take half of the time
    return None if awaited is _OVER else _go_on_with(steps, awaited)


def result_of(
    seconds: float | None, awaitable: Awaitable[Result]
) -> Result | Coroutine[Any, Any, Result]:
    """Begin to await it; return its result, which is no coroutine, or else what awaits the rest."""
    steps = awaitable.__await__()
    try:
        awaited = next(steps)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    return _rest(seconds, steps, awaited)


async def _rest(
    seconds: float | None, steps: Generator[Any, Any, Result], awaited: object
) -> Result:
    async with asyncio.timeout(seconds):
        return await _go_on(steps, awaited)


async def _go_on_with(steps: Generator[Any, Any, Result], awaited: object) -> Result:
    return await _go_on(steps, awaited)


@types.coroutine
def _go_on(steps: Generator[Any, Any, Result], awaited: object) -> Generator[Any, Any, Result]:
    """Continue `steps`, which were started manually and wait for `awaited`."""
    while True:
        failure: BaseException | None = None
        try:
            yield awaited
        except BaseException as exc:  # the task was cancelled: pass it to `steps`
            failure = exc
        try:
            awaited = next(steps) if failure is None else steps.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result
