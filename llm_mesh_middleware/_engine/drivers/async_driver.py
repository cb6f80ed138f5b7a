"""The asynchronous driver: carries out the steps of a flow, then those of its reply's body.

    adrive(flow)        steps ... until the flow returns a Reply, or raises
    AsyncDelivery       read()  steps ... until the body yields bytes, or ends
                        pass_on()  all of it, most of it without this driver (`passage`)
                        aclose() throws the reason into a body that has not ended

One driver serves both, so that the connection of the last attempt stays open for the body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from ..._core.flow.reply import Flow, Reply
from ..._core.values.steps import (
    SILENCE,
    Ask,
    Await,
    Body,
    Interest,
    Nested,
    Outlive,
    Race,
    Read,
    Send,
    Sleep,
    Spawn,
    StepResult,
    Steps,
    Watch,
)
from ...exceptions import ClientDisconnected
from ..http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse
from ..tasks.alarm import NO_ALARM, Alarm
from ..tasks.background import AsyncBackground
from ..tasks.in_loop import end_task, from_any_thread
from .async_ask import ask
from .async_connection import AsyncConnection
from .delivery import AsyncDelivery

__all__ = ["AsyncDriver", "adrive"]

# How long the end of a cancelled exchange may take; then it continues in the background.
_SETTLE_S = 1.0


async def adrive(
    flow: Flow,
    client: AsyncUpstreamClient,
    background: AsyncBackground,
    why: Callable[[], Exception],
    loop: asyncio.AbstractEventLoop | None = None,
) -> AsyncDelivery:
    """Run `flow` until it returns its reply.

    Args:
        flow: the exchange.
        client: makes its calls.
        background: runs what it spawns.
        why: returns the reason when the calling task is cancelled.
        loop: the running event loop, if the caller knows it.

    Raises:
        MeshError: what the flow raises; then no connection is left open.
    """
    driver = AsyncDriver(client, Alarm.of(loop or asyncio.get_running_loop()), None, background)
    result: StepResult = None
    try:
        while True:
            step = flow.send(result)
            if driver.interest is not None:
                result = await driver.perform_apart(step)
            elif step.__class__ is Ask:
                result = ask(step)
                if result.__class__ is CoroutineType:
                    result = await result
            else:
                result = await _PERFORM[step.__class__](driver, step)
    except StopIteration as stop:
        return driver.delivery(stop.value)
    except BaseException as error:
        await driver.fail(flow, why() if isinstance(error, asyncio.CancelledError) else error)
        raise


class AsyncDriver(AsyncConnection):
    """The steps of one exchange.

    `interest` is set by `Outlive`: from then on each step runs in a separate task, which continues
    when the client's task ends. `has_begun` and `has_ended` are of the body that is read.
    """

    _background: AsyncBackground
    _watched: asyncio.Task[StepResult] | None = None
    _apart: asyncio.Task[StepResult] | None = None
    interest: Interest | None = None
    has_begun: bool = False
    has_ended: bool = False

    def perform(self, step: Any) -> Coroutine[Any, Any, StepResult]:
        """Carry out a step of a body."""
        if self.interest is None:
            return _PERFORM[step.__class__](self, step)
        return self.perform_apart(step)

    async def perform_apart(self, step: Any) -> StepResult:
        """Carry out a step that continues if the caller is cancelled."""
        self._apart = asyncio.create_task(_PERFORM[step.__class__](self, step))
        result = await asyncio.shield(self._apart)
        self._apart = None
        return result

    def to_tap(self) -> AsyncUpstreamResponse | None:
        """Return the response that may be tapped, none if steps go on without their caller."""
        return self._response if self.interest is None else None

    def goes_on(self, steps: Flow | Body, reason: BaseException) -> bool:
        """Continue a flow or a body in the background, if others wait for its result.

        Returns:
            Whether it continues; then it closes the driver too.
        """
        interest = self.interest
        if interest is None or not isinstance(reason, ClientDisconnected):
            return False
        task = self._background.start(self._go_on(steps)) if interest.has_waiters() else None
        if task is not None:
            interest.on_lost(from_any_thread(task.cancel))
        return task is not None

    async def fail(self, flow: Flow, reason: BaseException) -> None:
        """End a flow that has raised, or whose task was cancelled, unless it goes on."""
        if self.goes_on(flow, reason):
            return
        with contextlib.suppress(BaseException):  # who has caught it raises it, once
            await self.end(flow, reason)
        await self.aclose()

    async def end(self, body: Steps | Body, reason: BaseException) -> bytes:
        """Throw `reason` into a flow or a body, let it settle, and return its last bytes.

        Settling is not cancelled with the caller. It continues in the background after a second.
        """
        await self._end_tasks()
        last: list[bytes] = []
        try:
            item = body.throw(reason)
            while isinstance(item, bytes):
                last.append(item)
                item = next(body)
            await self._background.run(self._settle(body, item, last), within_s=_SETTLE_S)
        except StopIteration:
            pass
        except Exception as raised:
            if raised is not reason:  # raised through if there is nothing to settle
                raise
        return b"".join(last)

    def delivery(self, reply: Reply) -> AsyncDelivery:
        """Return the reply to deliver; after a whole one no step follows, so the alarm can rest."""
        if reply.body.__class__ is bytes and self._apart is None and self._watched is None:
            self._alarm.rest()
            if self._response is None or self._response.is_released:
                return AsyncDelivery(reply)
            self._alarm = NO_ALARM
        return AsyncDelivery(reply, self)

    async def aclose(self) -> None:
        """Close the last attempt's connection, or keep it if its response was read whole."""
        self._alarm.close()
        if self._apart is not None or self._watched is not None:
            await self._end_tasks()
        await self._drop()

    async def _go_on(self, steps: Flow | Body) -> None:
        """Run to the end of the reply; bytes for the client are dropped."""
        self.interest, apart, self._apart = None, self._apart, None
        try:
            item = next(steps) if apart is None else steps.send(await apart)
            while True:
                kind = item.__class__
                item = steps.send(None if kind is bytes else await _PERFORM[kind](self, item))
        except StopIteration as stop:
            reply = stop.value
            if isinstance(reply, Reply) and not isinstance(reply.body, bytes):
                await self._go_on(reply.body)
        except asyncio.CancelledError:
            await self.end(steps, ClientDisconnected("the client went away"))
        finally:
            steps.close()
            await self.aclose()

    async def _settle(self, steps: Steps | Body, item: Any, last: list[bytes]) -> None:
        with contextlib.suppress(StopIteration):
            while True:
                kind = item.__class__
                if kind is bytes:
                    last.append(item)
                item = steps.send(None if kind is bytes else await _PERFORM[kind](self, item))

    async def _ask(self, step: Ask) -> StepResult:
        answer = ask(step)
        return await answer if answer.__class__ is CoroutineType else answer

    async def _spawn(self, step: Spawn) -> None:
        flow = step.flow
        # Begin it first: only a generator that has begun runs its `finally` when it is dropped.
        if (first := next(flow, None)) is None:
            return
        task = self._background.start(_run(flow, first, self._client, self._background))
        if task is None:
            return flow.close()
        task.add_done_callback(lambda _: flow.close())

    async def _outlive(self, step: Outlive) -> None:
        self.interest = step.interest

    async def _beside(self, step: Nested) -> StepResult:
        return await _run(step.flow, None, self._client, self._background)

    async def _watch(self, step: Watch) -> StepResult:
        if step.step is not None:
            self._watched = asyncio.create_task(_PERFORM[step.step.__class__](self, step.step))
        task: asyncio.Task[StepResult] = self._watched  # type: ignore[assignment]  # it has begun
        await asyncio.wait((task,), timeout=max(0.0, step.at - self._alarm.time()))
        if not task.done():
            return SILENCE
        self._watched = None
        return task.result()

    async def _end_tasks(self) -> None:
        tasks, self._apart, self._watched = (self._apart, self._watched), None, None
        for task in tasks:
            await end_task(task)


_PERFORM: dict[type, Callable[[AsyncDriver, Any], Coroutine[Any, Any, StepResult]]] = {
    Send: AsyncDriver._send,
    Read: AsyncDriver._read,
    Race: AsyncDriver._race,
    Ask: AsyncDriver._ask,
    Sleep: AsyncDriver._sleep,
    Await: AsyncDriver._await,
    Spawn: AsyncDriver._spawn,
    Outlive: AsyncDriver._outlive,
    Nested: AsyncDriver._beside,
    Watch: AsyncDriver._watch,
}


async def _run(
    steps: Steps, step: Any, client: AsyncUpstreamClient, background: AsyncBackground
) -> StepResult:
    """Run another flow to its end, from `step` if it has begun; return its result."""
    alarm = Alarm.of(asyncio.get_running_loop())
    driver = AsyncDriver(client, alarm, None, background)
    try:
        while True:
            result = None if step is None else await _PERFORM[step.__class__](driver, step)
            step = steps.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()
        await driver.aclose()
