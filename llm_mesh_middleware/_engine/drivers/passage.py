"""The passage of a stream to its client, in the callback of the connection that its bytes come by.

    connection      task
                    body ─> Read ─> taps the response, and waits
    bytes ────────> body ─> client
    bytes ────────> body ─> client
    bytes ────────> body ─> something else: another step, the end, a client that makes us wait
                    goes on with it, until the next Read

To wake the task for each event, down its stack of coroutines and up again, would take longer than
all that is done with the event. What is called meanwhile sees the task as the running one, and its
context.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from types import CoroutineType
from typing import Any, Protocol

from ..._core.values.messages import Failure
from ..._core.values.steps import Body, Read
from ..http.protocols import AsyncUpstreamResponse
from ..tasks.prompt import within
from ..tasks.wheel import wheel_of

__all__ = ["Passage", "Write"]

Write = Callable[[bytes], Awaitable[None] | None]
"""Sends a piece to the client; returns None if it was taken at once, else what waits for that."""


class StepDriver(Protocol):
    """The part of a driver that carries out single steps of a body.

    `has_begun`: the body was read. `has_ended`: it has no more bytes.
    """

    has_begun: bool
    has_ended: bool

    def perform(self, step: Any) -> Coroutine[Any, Any, Any]:
        """Carry out a step."""

    def to_tap(self) -> AsyncUpstreamResponse | None:
        """Return the response that a `Read` reads, if it may be tapped."""


class Passage:
    """Passes the pieces of one body on; each has `limit_s` to be taken by the client.

    It is made and run in one task.
    """

    __slots__ = (
        *("_body", "_context", "_driver", "_due_at", "_ended", "_limit_s", "_loop"),
        *("_response", "_rest", "_since", "_slot", "_step", "_task", "_wheel", "_write"),
    )

    _ended: asyncio.Future[Any]
    _response: AsyncUpstreamResponse

    def __init__(self, driver: StepDriver, body: Body, write: Write, limit_s: float | None) -> None:
        self._driver = driver
        self._body = body
        self._write = write
        self._limit_s = limit_s
        self._loop = loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] = asyncio.current_task(loop)  # type: ignore[assignment]
        self._context = _context_of(self._task)
        self._step: Read | None = None  # while it waits
        self._since = 0.0
        self._rest: Awaitable[None] | None = None
        self._wheel = wheel_of(loop)
        self._slot: int | None = None
        self._due_at = 0.0

    async def run(self) -> None:
        """Pass on the whole body.

        Raises:
            TimeoutError: the client did not take a piece in time.
        """
        driver, body = self._driver, self._body
        driver.has_begun = True
        try:
            item: Any = next(body)
            while item is not None:
                if item.__class__ is bytes:
                    if (rest := self._write(item)) is not None:
                        await within(self._limit_s, rest)
                    item = next(body)
                elif item.__class__ is Read and self._begins(item):
                    item = await self._over()
                else:
                    item = body.send(await driver.perform(item))
        except StopIteration:
            pass
        finally:
            self._close()
        driver.has_ended = True

    def due(self) -> None:
        """End the wait if the time is up; called by the wheel."""
        self._slot = None
        if (step := self._step) is None:
            return
        until = self._until(step)
        if monotonic() < until:
            self._set(until)
        else:
            self._end(Failure(step.passed(self._since)))

    def _begins(self, step: Read) -> bool:
        """Give what comes to the body from now on, as the results of `step`.

        Returns:
            Whether that is possible, and `_over` is to be awaited; otherwise the response is to be
            read.
        """
        response = self._driver.to_tap()
        self._since = since = monotonic()
        if response is None or since >= step.deadline.at:
            return False
        take: Callable[[bytes], None] = partial(self._context.run, self._pass_on)  # type: ignore[call-arg]
        if not response.tap(take):
            return False
        self._response = response
        self._step = step
        self._ended = self._loop.create_future()
        until = self._until(step)
        if self._slot is None:
            self._set(until)
        elif until < self._due_at:
            self._close()
            self._set(until)
        return True

    async def _over(self) -> Any:
        """Return what the body yields that has to be done in the task; None at its end."""
        try:
            item = await self._ended
            if (rest := self._rest) is not None:
                self._rest = None
                await within(self._limit_s, rest)
                return next(self._body, None)
        finally:
            self._stop()
        if item.__class__ is Failure:
            return self._after(item)
        if isinstance(item, BaseException):
            try:
                raise item
            finally:
                del item  # it has this frame
        return item

    def _pass_on(self, data: bytes) -> None:
        """Give `data` to the body, and what it makes of it to the client."""
        if not data:  # nothing more comes by the tap
            self._end(self._step)
            return
        loop, task, body, step = self._loop, self._task, self._body, self._step
        item: Any = None
        _enter_task(loop, task)  # asyncio has it, and its counterpart, for those who extend it
        try:
            item = body.send(data)
            while item is not step and item.__class__ is bytes:
                if (rest := self._write(item)) is not None:
                    self._rest = rest
                    break
                item = next(body)
        except StopIteration:
            item = None
        except BaseException as error:  # the task raises it
            item = error
        finally:
            _leave_task(loop, task)
        if item is step:
            self._since = monotonic()
        else:
            self._end(item)

    def _after(self, failure: Failure) -> Any:
        try:
            return self._body.send(failure)
        except StopIteration:
            return None

    def _end(self, item: object) -> None:
        self._response.tap(None)
        self._step = None
        if not self._ended.done():  # the task was cancelled
            self._ended.set_result(item)

    def _stop(self) -> None:
        """Forget a wait that is over, or was cancelled."""
        if self._step is not None:
            self._response.tap(None)
            self._step = None
        if isinstance(self._rest, CoroutineType):  # the task was cancelled before it went on
            self._rest.close()
        self._rest = None
        del self._ended

    def _until(self, step: Read) -> float:
        at, idle_s = step.deadline.at, step.idle_s
        return at if idle_s is None else min(at, self._since + idle_s)

    def _close(self) -> None:
        """Stop the timer."""
        if self._slot is not None:
            self._wheel.drop(self, self._slot)
            self._slot = None

    def _set(self, until: float) -> None:
        self._due_at = until
        self._slot = self._wheel.set(self, until)


def _context_of(task: asyncio.Task[Any]) -> Context:
    """Return the context of the running task; before Python 3.12, one with the same values."""
    get_context: Callable[[], Context] = getattr(task, "get_context", copy_context)
    return get_context()
