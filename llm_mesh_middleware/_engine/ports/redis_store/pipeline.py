"""Reservations of one event loop: all that are asked for in one turn go together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .async_lines import AsyncSending, run_script
from .breaker import Breaker
from .connecting import FAILURES
from .scripts import RESERVE, Arguments

__all__ = ["Pipeline"]

_Answers = list[Any] | None
_Waiting = tuple[Sequence[Arguments], "asyncio.Future[_Answers]", Callable[[list[Any]], None]]


class Pipeline:
    """The connections of one event loop, and what waits for the end of its turn."""

    def __init__(self, lines: AsyncSending, breaker: Breaker, timeout_s: float) -> None:
        self._lines = lines
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(
        self, calls: Sequence[Arguments], undo: Callable[[list[Any]], None]
    ) -> _Answers:
        """Return the script's answers, None if the store is away.

        `undo` is given those that the caller no longer waits for.
        """
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[_Answers] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting.append((calls, answers, undo))
        try:
            return await answers
        except asyncio.CancelledError:
            if not answers.cancelled() and (found := answers.result()) is not None:
                undo(found)  # they were there when the cancellation came
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lines.aclose()

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._send(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, waiting: list[_Waiting]) -> None:
        answers: _Answers = None
        try:
            async with asyncio.timeout(self._timeout_s):
                all_calls = [call for calls, _, _ in waiting for call in calls]
                answers = await run_script(self._lines, RESERVE, all_calls)
        except FAILURES as error:
            self._breaker.failed(error)
        except BaseException:  # the loop ends
            for _, future, _ in waiting:
                future.cancel()
            raise
        else:
            self._breaker.succeeded()
        begin = 0
        for calls, future, undo in waiting:
            end = begin + len(calls)
            own = None if answers is None else answers[begin:end]
            begin = end
            if not future.done():
                future.set_result(own)
            elif own is not None:  # its request was given up meanwhile
                undo(own)
