"""The connection of an exchange's current attempt: the steps of a driver that open and read it.

A step that waits for anything else closes it first, so that no connection is held unused.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import nullcontext

from ..._core.private import PerCall
from ..._core.values.messages import Failure
from ..._core.values.steps import Await, Race, Read, Send, Sleep, StepResult
from ...exceptions import UpstreamError
from ..http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse
from ..tasks.alarm import Alarm
from ..tasks.in_loop import from_any_thread
from .async_race import arace

__all__ = ["AsyncConnection"]


class AsyncConnection(PerCall):
    """The base of the asynchronous driver."""

    _client: AsyncUpstreamClient
    _alarm: Alarm
    _response: AsyncUpstreamResponse | None

    async def _send(self, step: Send) -> StepResult:
        request, alarm = step.request, self._alarm
        try:
            if self._response is not None:
                await self._drop()
            alarm.arm(step.deadline.at)
            if request.scope is nullcontext:  # the usual case
                self._response = response = await self._client.open(request)
            else:
                with request.scope():
                    self._response = response = await self._client.open(request)
            return response.head
        except UpstreamError as error:
            return Failure(error)
        except asyncio.CancelledError:
            if not alarm.is_mine():
                raise
            return Failure(step.deadline.error())
        finally:
            if alarm.has_fired:
                alarm.is_mine()
            alarm.task = None

    async def _read(self, step: Read) -> StepResult:
        alarm, at, now = self._alarm, step.deadline.at, 0.0
        if step.idle_s is not None:
            now = alarm.time()
            if now >= at:
                return Failure(step.deadline.error())
            if now + step.idle_s < at:
                at = now + step.idle_s
        response: AsyncUpstreamResponse = self._response  # type: ignore[assignment]  # after a Send
        try:
            reading = response.read()
            if reading.__class__ is bytes:
                return reading
            alarm.arm(at)
            return await reading  # type: ignore[misc]  # not bytes
        except UpstreamError as error:
            return Failure(error)
        except asyncio.CancelledError:
            if not alarm.is_mine():
                raise
            return Failure(step.passed(now))
        finally:
            if alarm.has_fired:
                alarm.is_mine()
            alarm.task = None

    async def _race(self, step: Race) -> StepResult:
        await self._drop()
        raced, self._response = await arace(step, self._client)
        return raced

    async def _sleep(self, step: Sleep) -> None:
        await self._drop()
        await asyncio.sleep(step.seconds)

    async def _await(self, step: Await) -> None:
        await self._drop()
        called = asyncio.Event()
        step.signal(from_any_thread(called.set))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(step.deadline.at):
                await called.wait()

    async def _drop(self) -> None:
        """Close the current response before the next attempt."""
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()
