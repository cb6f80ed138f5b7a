"""The asynchronous driver: carries out the steps of a flow, then those of its reply's body.

    adrive(flow)        steps ... until the flow returns a Reply, or raises
    AsyncDelivery       read()  steps ... until the body yields bytes, or ends
                        aclose() throws the reason into a body that has not ended

One driver serves both, so that the connection of the last attempt stays open for the body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from ..._core.flow.reply import Flow, Reply
from ..._core.values.messages import Failure
from ..._core.values.steps import (
    SILENCE,
    Ask,
    Await,
    Beside,
    Body,
    Interest,
    Outlive,
    Race,
    Read,
    Refused,
    Send,
    Sleep,
    Spawn,
    StepResult,
    Steps,
    Watch,
)
from ...exceptions import AnswerableError, ClientDisconnected, UpstreamError
from ..http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse
from ..tasks.alarm import Alarm
from ..tasks.background import AsyncBackground
from .async_race import arace
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
    driver = AsyncDriver(client, background, loop)
    result: StepResult = None
    try:
        while True:
            step = flow.send(result)
            if driver.interest is None:
                result = await _PERFORM[step.__class__](driver, step)
            else:
                result = await driver.perform_apart(step)
    except StopIteration as stop:
        return AsyncDelivery(stop.value, driver)
    except BaseException as error:
        reason = why() if isinstance(error, asyncio.CancelledError) else error
        if driver.goes_on(flow, reason):
            raise
        with contextlib.suppress(BaseException):  # it is raised below, once
            await driver.end(flow, reason)
        await driver.aclose()
        raise


class AsyncDriver:
    """The steps of one exchange, and the connection of its current attempt.

    `interest` is that of `Outlive`: since then each step is carried out in a task of its own, which
    the end of the client's leaves alone.
    """

    __slots__ = ("_alarm", "_apart", "_background", "_client", "_response", "_watched", "interest")

    def __init__(
        self,
        client: AsyncUpstreamClient,
        background: AsyncBackground,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """`loop` is the running one, if the caller knows it."""
        self._client = client
        self._background = background
        self._alarm = Alarm(loop)
        self._response: AsyncUpstreamResponse | None = None
        self._watched: asyncio.Task[StepResult] | None = None
        self._apart: asyncio.Task[StepResult] | None = None
        self.interest: Interest | None = None

    async def next(self, body: Body) -> bytes | None:
        """Return the next bytes of `body`, None at its end."""
        item = next(body, None)
        while item.__class__ is not bytes:
            if item is None:
                return None
            try:
                if self.interest is None:
                    item = body.send(await _PERFORM[item.__class__](self, item))
                else:
                    item = body.send(await self.perform_apart(item))
            except StopIteration:
                return None
        return item

    async def perform_apart(self, step: Any) -> StepResult:
        """Carry out a step that goes on if the caller is cancelled."""
        self._apart = asyncio.create_task(_PERFORM[step.__class__](self, step))
        result = await asyncio.shield(self._apart)
        self._apart = None
        return result

    def goes_on(self, steps: Flow | Body, reason: BaseException) -> bool:
        """Go on with a flow or a body in the background if others wait for what it brings.

        Returns:
            Whether it does; then it closes the driver too.
        """
        interest = self.interest
        if interest is None or not isinstance(reason, ClientDisconnected):
            return False
        if not interest.is_wanted():
            return False
        task = self._background.start(self._go_on(steps))
        if task is None:
            return False
        loop, cancel = asyncio.get_running_loop(), task.cancel

        def lost() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the task with it
                loop.call_soon_threadsafe(cancel)

        interest.on_lost(lost)
        return True

    async def end(self, body: Steps | Body, reason: BaseException) -> bytes:
        """Throw `reason` into a flow or a body, let it settle, and return its last bytes.

        Settling is not cancelled with the caller. It continues in the background after a second.
        """
        await self._end_apart()
        await self._end_watch()
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

    async def aclose(self) -> None:
        """Close the last attempt's connection, or keep it if its response was read whole."""
        self._alarm.close()
        await self._end_apart()
        await self._end_watch()
        await self._drop()

    async def _go_on(self, steps: Flow | Body) -> None:
        """Carry on to the end of the reply; what it has for its client is dropped."""
        self.interest, apart, self._apart = None, self._apart, None
        try:
            item = next(steps) if apart is None else steps.send(await apart)
            while True:
                is_bytes = item.__class__ is bytes
                result = None if is_bytes else await _PERFORM[item.__class__](self, item)
                item = steps.send(result)
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
                if isinstance(item, bytes):
                    last.append(item)
                    item = next(steps)
                else:
                    item = steps.send(await _PERFORM[item.__class__](self, item))

    async def _send(self, step: Send) -> StepResult:
        try:
            if self._response is not None:
                await self._drop()
            with self._alarm.at(step.deadline.at), step.request.scope():
                self._response = await self._client.open(step.request)
                return self._response.head
        except UpstreamError as error:
            return Failure(error)
        except TimeoutError:
            return Failure(step.deadline.error())

    async def _read(self, step: Read) -> StepResult:
        alarm, at, now = self._alarm, step.deadline.at, 0.0
        if step.idle_s is not None:
            now = alarm.time()
            if now >= at:
                return Failure(step.deadline.error())
            if now + step.idle_s < at:
                at = now + step.idle_s
        alarm.arm(at)
        try:
            return await self._response.read()  # type: ignore[union-attr]  # a Send came first
        except UpstreamError as error:
            return Failure(error)
        except asyncio.CancelledError:
            if not alarm.is_mine():
                raise
            return Failure(step.passed(now))
        finally:
            alarm.task = None

    async def _race(self, step: Race) -> StepResult:
        await self._drop()
        raced, self._response = await arace(step, self._client)
        return raced

    async def _ask(self, step: Ask) -> StepResult:
        try:
            port: Any = step.port
            return await port.aask(step.request, step.until)
        except AnswerableError as error:
            return Refused(error)

    async def _sleep(self, step: Sleep) -> None:
        await self._drop()
        await asyncio.sleep(step.seconds)

    async def _await(self, step: Await) -> None:
        await self._drop()
        loop, called = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: there is no waiter
                loop.call_soon_threadsafe(called.set)

        step.signal(wake)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(step.deadline.at):
                await called.wait()

    async def _spawn(self, step: Spawn) -> None:
        flow = step.flow
        first = next(flow, None)  # a flow that has begun reaches its end, even if it is dropped
        if first is None:
            return
        task = self._background.start(_run(flow, first, self._client, self._background))
        if task is None:
            flow.close()
        else:
            task.add_done_callback(lambda _: flow.close())

    async def _outlive(self, step: Outlive) -> None:
        self.interest = step.interest

    async def _beside(self, step: Beside) -> StepResult:
        try:
            first = next(step.flow)
        except StopIteration as stop:
            return stop.value
        return await _run(step.flow, first, self._client, self._background)

    async def _watch(self, step: Watch) -> StepResult:
        if step.step is not None:
            self._watched = asyncio.create_task(_PERFORM[step.step.__class__](self, step.step))
        task = self._watched
        if task is None:
            raise RuntimeError("there is no step to watch")
        await asyncio.wait((task,), timeout=max(0.0, step.at - self._alarm.time()))
        if not task.done():
            return SILENCE
        self._watched = None
        return task.result()

    async def _end_watch(self) -> None:
        task, self._watched = self._watched, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _end_apart(self) -> None:
        task, self._apart = self._apart, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _drop(self) -> None:
        """Close the current response before the next attempt."""
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()


_PERFORM: dict[type, Callable[[AsyncDriver, Any], Coroutine[Any, Any, StepResult]]] = {
    Send: AsyncDriver._send,
    Read: AsyncDriver._read,
    Race: AsyncDriver._race,
    Ask: AsyncDriver._ask,
    Sleep: AsyncDriver._sleep,
    Await: AsyncDriver._await,
    Spawn: AsyncDriver._spawn,
    Outlive: AsyncDriver._outlive,
    Beside: AsyncDriver._beside,
    Watch: AsyncDriver._watch,
}


async def _run(
    steps: Steps, step: Any, client: AsyncUpstreamClient, background: AsyncBackground
) -> StepResult:
    """Run another flow from its first step to its end, and return what it returns."""
    driver = AsyncDriver(client, background)
    try:
        while True:
            step = steps.send(await _PERFORM[step.__class__](driver, step))
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()
        await driver.aclose()
