"""Reservations of one event loop.

nothing is under way    it is sent at once
something is            all that are asked for in this turn of the loop go together
not connected           a task connects and sends them

Settlements follow a reservation when there are many; else a thread sends them (`outbox`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...._core.limiting.claims import Reserve
from ...._core.private import PerCall
from .async_lines import AsyncSending, completed, packed, run_script
from .breaker import Breaker
from .connecting import FAILURES
from .link import Link
from .outbox import Outbox, Taken
from .scripts import RESERVE, SETTLE, Arguments, settle_call, settle_command

__all__ = ["Pipeline", "Waiting"]

_Answers = list[Any] | None


class Waiting(PerCall):
    """A reservation, as it is written, with `count` commands, and as the arguments of `RESERVE`.

    `answers` are None if the store is away. `undo` gets them if nobody waits for them any more.
    """

    request: Reserve
    slot: str
    written: bytes
    count: int
    answers: asyncio.Future[_Answers]
    pipeline: Pipeline

    def answered(self, answers: list[Any]) -> None:
        """Take the answers of a connection."""
        waits = self.answers
        if answers[0].__class__ is list and self.count == 1 and not waits.done():
            self.pipeline.breaker.succeeded()
            waits.set_result(answers)
        else:
            self.pipeline.answered([self], answers)

    def lost(self, error: Exception) -> None:
        """Take note that there are none."""
        self.pipeline.failed([self], error)


class Pipeline:
    """The connections of one event loop, and the reservations that wait for the end of its turn."""

    def __init__(
        self,
        lines: AsyncSending,
        breaker: Breaker,
        timeout_s: float,
        *,
        outbox: Outbox,
        prefix: str,
        arguments: Callable[[Reserve, str], list[Arguments]],
        undo: Callable[[Reserve, list[Any], str], None],
    ) -> None:
        """Connect to nothing yet.

        Args:
            lines: connect when they are first used.
            breaker: is told how the store does.
            timeout_s: the longest that a reservation waits.
            outbox: has the settlements.
            prefix: begins every key.
            arguments: returns those of a reservation and its slot.
            undo: gets the answers of a reservation that nobody waits for any more.
        """
        self._lines = lines
        self.breaker = breaker
        self._timeout_s = timeout_s
        self._outbox = outbox
        self._prefix = prefix
        self._arguments = arguments
        self._undo = undo
        self._waiting: list[Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, waiting: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Send a reservation now, or with the others of this turn of the loop."""
        link = self._lines.link
        if link is not None and link.is_idle:  # a call that is alone need not wait for others
            link.send(waiting.written, waiting)
            if self._outbox.has_many:
                self._settle(link, loop)
            return
        if not self._waiting:
            loop.call_soon(self._start, loop)
        self._waiting.append(waiting)

    async def aclose(self) -> None:
        """Close the connections when everything has been answered."""
        await asyncio.sleep(0)  # what waits for the end of the turn is sent
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lines.aclose()

    def abandon(self) -> None:
        """Drop the connections: their event loop is closed."""
        self._lines.abandon()

    def answered(self, waiting: list[Waiting], answers: list[Any]) -> None:
        """Pass on the answers of a connection, or ask again where one is an error."""
        for answer in answers:
            if answer.__class__ is not list:
                self._begin(waiting, answers)
                return
        self._answer(waiting, answers)

    def failed(self, waiting: list[Waiting], error: Exception) -> None:
        """Tell those who wait that the store is away."""
        self.breaker.failed(error)
        for each in waiting:
            if not each.answers.done():
                each.answers.set_result(None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        link = self._lines.link
        if link is None:
            self._begin(waiting, None)
            return
        link.send(b"".join([each.written for each in waiting]), _Together(self, waiting))
        if self._outbox.has_many:
            self._settle(link, loop)

    def _settle(self, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        """Send the settlements that wait; nobody waits for the answer."""
        taken = self._outbox.take(loop)
        if taken.changes:
            changes, name = taken.changes, f"{taken.name}-0"
            command = settle_command(changes, self._prefix, name)
            if command is None:
                call = settle_call(changes, self._prefix, name)
                command = packed("EVALSHA", SETTLE.digest, (call,))
            link.send(command, _Settling(self._outbox, taken))
        else:  # another loop has taken them
            self._outbox.applied(taken)

    def _begin(self, waiting: list[Waiting], answers: _Answers) -> None:
        task = asyncio.get_running_loop().create_task(self._send(waiting, answers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, waiting: list[Waiting], answers: _Answers) -> None:
        """Connect and ask, or ask again where an answer is an error."""
        calls = [call for each in waiting for call in self._arguments(each.request, each.slot)]
        try:
            async with asyncio.timeout(self._timeout_s):
                if answers is None:
                    answers = await run_script(self._lines, RESERVE, calls)
                else:
                    answers = await completed(self._lines, RESERVE, calls, answers)
        except FAILURES as error:
            self.failed(waiting, error)
        except BaseException:  # the event loop is ending
            for each in waiting:
                each.answers.cancel()
            raise
        else:
            self._answer(waiting, answers)

    def _answer(self, waiting: list[Waiting], answers: list[Any]) -> None:
        self.breaker.succeeded()
        begin = 0
        for each in waiting:
            end = begin + each.count
            own = answers[begin:end] if len(waiting) > 1 else answers
            begin = end
            if not each.answers.done():
                each.answers.set_result(own)
            else:  # its request was given up meanwhile
                self._undo(each.request, own, each.slot)


class _Together:
    """Reservations that were sent together without a task."""

    __slots__ = ("_pipeline", "_waiting", "count")

    def __init__(self, pipeline: Pipeline, waiting: list[Waiting]) -> None:
        self._pipeline = pipeline
        self._waiting = waiting
        self.count = sum([each.count for each in waiting])

    def answered(self, answers: list[Any]) -> None:
        self._pipeline.answered(self._waiting, answers)

    def lost(self, error: Exception) -> None:
        self._pipeline.failed(self._waiting, error)


class _Settling:
    """Settlements that were sent; where they may not have been applied, the outbox repeats them."""

    __slots__ = ("_outbox", "_taken", "count")

    def __init__(self, outbox: Outbox, taken: Taken) -> None:
        self._outbox = outbox
        self._taken = taken
        self.count = 1

    def answered(self, answers: list[Any]) -> None:
        if isinstance(answers[0], int):
            self._outbox.applied(self._taken)
        else:  # an error, such as of a server that does not know the script
            self._outbox.failed(self._taken)

    def lost(self, error: Exception) -> None:
        self._outbox.failed(self._taken)
