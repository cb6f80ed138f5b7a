"""The asynchronous driver: carries out the steps of an exchange, up to its reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from ..._core.flow.exchange import Exchange
from ..._core.values.messages import Answer, Await, Failure, Race, Read, Send, Sleep
from ...exceptions import UpstreamError
from ..http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse
from ..tasks.alarm import Alarm
from .async_race import arace
from .delivery import AsyncDelivery

__all__ = ["adrive"]

_CALLS = (Read, Send)


async def adrive(
    steps: Exchange, client: AsyncUpstreamClient, why: Callable[[], Exception]
) -> AsyncDelivery:
    """Run `steps` up to their reply.

    Args:
        steps: the exchange.
        client: makes its calls.
        why: says, if the calling task is cancelled, what for.

    Raises:
        MeshError: what the exchange raises; then no connection is left behind.
    """
    driver = _Driver(client)
    answer: Answer = None
    try:
        while True:
            step = steps.send(answer)
            if isinstance(step, _CALLS):
                answer = await driver.call(step)
            else:
                answer = await driver.carry_out(step)
    except StopIteration as stop:
        return AsyncDelivery(stop.value, driver.response)
    except BaseException as error:
        with contextlib.suppress(BaseException):  # it is raised below, once
            steps.throw(why() if isinstance(error, asyncio.CancelledError) else error)
        await driver.drop()
        raise
    finally:
        driver.alarm.close()


class _Driver:
    """The connection of the current attempt; there is never more than one."""

    def __init__(self, client: AsyncUpstreamClient) -> None:
        self._client = client
        self.alarm = Alarm()
        self.response: AsyncUpstreamResponse | None = None

    async def carry_out(self, step: Sleep | Await | Race) -> Answer:
        """What comes between two calls, or in the place of one."""
        await self.drop()
        if isinstance(step, Race):
            raced, self.response = await arace(step, self._client)
            return raced
        await (asyncio.sleep(step.seconds) if isinstance(step, Sleep) else _signal(step))
        return None

    async def call(self, step: Send | Read) -> Answer:
        """Make an attempt, or read on in its answer."""
        response = self.response
        try:
            with self.alarm.at(step.deadline.at):
                if isinstance(step, Read):
                    assert response is not None
                    return await response.read()
                if response is not None:
                    await self.drop()
                with step.request.scope():
                    response = self.response = await self._client.open(step.request)
                return response.head
        except UpstreamError as error:
            return Failure(error)
        except TimeoutError:
            return Failure(step.deadline.error())

    async def drop(self) -> None:
        """Let go of an attempt that is not the last."""
        response, self.response = self.response, None
        if response is not None:
            await response.aclose()


async def _signal(step: Await) -> None:
    loop = asyncio.get_running_loop()
    called = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(called.set)

    step.signal(wake)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(step.deadline.at):
            await called.wait()
