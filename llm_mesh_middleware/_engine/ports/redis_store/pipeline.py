"""Reservations of one event loop: all that are asked for in one turn go in one pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from ...._core.limiting.claims import Reserve, Reserved
from .breaker import Breaker
from .scripts import RESERVE, read_reserved

__all__ = ["Pipeline"]

_Waiting = tuple[list[str | int], "asyncio.Future[list[int] | None]", tuple[Reserve, str]]


class Pipeline:
    """A client of one event loop, and what waits for the end of its turn."""

    def __init__(
        self,
        client: Any,
        breaker: Breaker,
        timeout_s: float,
        undo: Callable[[Reserve, Reserved], None],
    ) -> None:
        """`undo` gives back a reservation that its request no longer waits for."""
        self._client = client
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._undo = undo
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(
        self, call: list[str | int], subject: tuple[Reserve, str]
    ) -> list[int] | None:
        """Return the script's answer, None if the store is away."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[int] | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting.append((call, answer, subject))
        try:
            return await answer
        except asyncio.CancelledError:
            if not answer.cancelled():  # the answer was there when the cancellation came
                self._give_back(answer.result(), subject)
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._client.aclose()

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._send(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, waiting: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await self._evaluate([call for call, _, _ in waiting])
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed(error)
            answers = [None] * len(waiting)
        except BaseException:  # the loop ends
            for _, future, _ in waiting:
                future.cancel()
            raise
        else:
            self._breaker.succeeded()
        for answer, (_, future, subject) in zip(answers, waiting, strict=True):
            if not future.done():
                future.set_result(answer)
            else:  # its request was given up meanwhile
                self._give_back(answer, subject)

    def _give_back(self, answer: list[int] | None, subject: tuple[Reserve, str]) -> None:
        if answer is not None:
            request, slot = subject
            self._undo(request, read_reserved(answer, request, slot))

    async def _evaluate(self, calls: list[list[str | int]]) -> list[Any]:
        answers = await self._run(calls, "evalsha", RESERVE.digest)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            # None of them was carried out: the server knows the script or not.
            answers = await self._run(calls, "eval", RESERVE.text)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _run(self, calls: list[list[str | int]], command: str, script: str) -> list[Any]:
        if len(calls) == 1:
            try:
                return [await getattr(self._client, command)(script, *calls[0])]
            except NoScriptError as error:
                return [error]
        async with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                getattr(pipeline, command)(script, *call)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers
