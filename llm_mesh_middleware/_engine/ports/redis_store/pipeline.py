"""Reservations of one event loop.

nothing is under way    it is sent at once
something is            all that are asked for in this turn of the loop go together
not connected           a task connects and sends them
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .async_lines import AsyncSending, completed, packed, run_script
from .breaker import Breaker
from .connecting import FAILURES
from .scripts import RESERVE, Arguments

__all__ = ["Pipeline"]

_Answers = list[Any] | None
_Waiting = tuple[Sequence[Arguments], "asyncio.Future[_Answers]", Callable[[list[Any]], None]]


class Pipeline:
    """The connections of one event loop, and the reservations that wait for the end of its turn."""

    def __init__(self, lines: AsyncSending, breaker: Breaker, timeout_s: float) -> None:
        self._lines = lines
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(
        self,
        loop: asyncio.AbstractEventLoop,
        calls: Sequence[Arguments],
        undo: Callable[[list[Any]], None],
    ) -> _Answers:
        """Return the script's answers, or None if the store is away.

        `undo` gets the answers if the caller was cancelled meanwhile.
        """
        answers: asyncio.Future[_Answers] = loop.create_future()
        link = self._lines.link
        if link is not None and link.is_idle:  # a call that is alone need not wait for others
            waiting = [(calls, answers, undo)]
            link.send(packed("EVALSHA", RESERVE.digest, calls), _Sent(self, waiting, calls))
        else:
            if not self._waiting:
                loop.call_soon(self._start)
            self._waiting.append((calls, answers, undo))
        try:
            return await answers
        except asyncio.CancelledError:
            if not answers.cancelled() and (found := answers.result()) is not None:
                undo(found)  # the answers had arrived before the cancellation
            raise

    async def aclose(self) -> None:
        """Close the connections when everything has been answered."""
        await asyncio.sleep(0)  # what waits for the end of the turn is sent
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lines.aclose()

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        calls = (
            waiting[0][0] if len(waiting) == 1 else [call for each in waiting for call in each[0]]
        )
        link = self._lines.link
        if link is not None:  # as nearly always: no task is needed
            link.send(packed("EVALSHA", RESERVE.digest, calls), _Sent(self, waiting, calls))
        else:
            self._begin(waiting, calls, None)

    def _begin(
        self, waiting: list[_Waiting], calls: Sequence[Arguments], answers: _Answers
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._send(waiting, calls, answers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(
        self, waiting: list[_Waiting], calls: Sequence[Arguments], answers: _Answers
    ) -> None:
        """Connect and ask, or ask again where an answer is an error."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if answers is None:
                    answers = await run_script(self._lines, RESERVE, calls)
                else:
                    answers = await completed(self._lines, RESERVE, calls, answers)
        except FAILURES as error:
            self._failed(waiting, error)
        except BaseException:  # the event loop is ending
            for _, future, _ in waiting:
                future.cancel()
            raise
        else:
            self._answer(waiting, answers)

    def _failed(self, waiting: list[_Waiting], error: Exception) -> None:
        self._breaker.failed(error)
        for _, future, _ in waiting:
            if not future.done():
                future.set_result(None)

    def _answer(self, waiting: list[_Waiting], answers: list[Any]) -> None:
        self._breaker.succeeded()
        begin = 0
        for calls, future, undo in waiting:
            end = begin + len(calls)
            own = answers[begin:end] if len(waiting) > 1 else answers
            begin = end
            if not future.done():
                future.set_result(own)
            else:  # its request was given up meanwhile
                undo(own)


class _Sent:
    """Reservations that were sent together without a task."""

    __slots__ = ("_calls", "_pipeline", "_waiting", "count")

    def __init__(
        self, pipeline: Pipeline, waiting: list[_Waiting], calls: Sequence[Arguments]
    ) -> None:
        self._pipeline = pipeline
        self._waiting = waiting
        self._calls = calls
        self.count = len(calls)

    def answered(self, answers: list[Any]) -> None:
        for answer in answers:
            if answer.__class__ is not list:
                self._pipeline._begin(self._waiting, self._calls, answers)
                return
        self._pipeline._answer(self._waiting, answers)

    def lost(self, error: Exception) -> None:
        self._pipeline._failed(self._waiting, error)
