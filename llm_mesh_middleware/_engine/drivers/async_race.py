"""A race of two upstream calls: the second starts late, the first good response wins."""

from __future__ import annotations

import asyncio

import msgspec

from ..._core.values.messages import Failure, ResponseHead
from ..._core.values.steps import Race, Raced, Send
from ...exceptions import UpstreamError
from ..http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse

__all__ = ["arace"]


async def arace(
    race: Race, client: AsyncUpstreamClient
) -> tuple[Raced, AsyncUpstreamResponse | None]:
    """Carry out `race`; the loser's connection is closed before this returns.

    Returns:
        The result of each call, and the winner's response if it has one.
    """
    calls = [_Call.start(race.first, client)]
    try:
        await asyncio.wait((calls[0].task,), timeout=race.after_s)
        if not calls[0].task.done() and (second := race.second()) is not None:
            calls.append(_Call.start(second, client))
        winner = await _winner(calls, race)
        answers = tuple(call.answer for call in calls)
        await _give_up([call for call in calls if call is not calls[winner]])
    except BaseException:  # the winner too: its response has no reader
        await _give_up(calls)
        raise
    return Raced(answers, winner), calls[winner].response


async def _winner(calls: list[_Call], race: Race) -> int:
    while True:
        waiting = [call.task for call in calls if not call.task.done()]
        winner = next((i for i, call in enumerate(calls) if call.has_won(race)), None)
        if winner is not None:
            return winner
        if not waiting:
            return _least_bad(calls)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


def _least_bad(calls: list[_Call]) -> int:
    """Return the winner if no response is good: the last one, but a response before a failure."""
    return max(range(len(calls)), key=lambda i: (isinstance(calls[i].answer, ResponseHead), i))


class _Call(msgspec.Struct):
    task: asyncio.Task[AsyncUpstreamResponse | Failure]

    @classmethod
    def start(cls, send: Send, client: AsyncUpstreamClient) -> _Call:
        return cls(asyncio.create_task(_open(send, client)))

    @property
    def answer(self) -> ResponseHead | Failure | None:
        if not self.task.done():
            return None
        result = self.task.result()
        return result if isinstance(result, Failure) else result.head

    @property
    def response(self) -> AsyncUpstreamResponse | None:
        result = self.task.result()
        return None if isinstance(result, Failure) else result

    def has_won(self, race: Race) -> bool:
        answer = self.answer
        return isinstance(answer, ResponseHead) and race.is_good(answer)


async def _give_up(calls: list[_Call]) -> None:
    """Cancel running calls, and close the responses of those that finished nevertheless."""
    for call in calls:  # all of them, before a cancellation can interrupt the wait
        call.task.cancel()
    for call in calls:
        await asyncio.wait((call.task,))
        if call.task.cancelled() or call.task.exception() is not None:
            continue
        if call.response is not None:
            await call.response.aclose()


async def _open(send: Send, client: AsyncUpstreamClient) -> AsyncUpstreamResponse | Failure:
    try:
        async with asyncio.timeout_at(send.deadline.at):
            with send.request.scope():
                return await client.open(send.request)
    except UpstreamError as error:
        return Failure(error)
    except TimeoutError:
        return Failure(send.deadline.error())
