"""A race of two upstream calls in two threads: the synchronous form of `async_race`.

Only hedged calls start threads.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Sequence

from ..._core.values.messages import Failure, ResponseHead
from ..._core.values.steps import Race, Raced, Send
from ...exceptions import UpstreamError
from ..http.protocols import UpstreamClient, UpstreamResponse
from ..tasks.cancel_scope import CancelScope

__all__ = ["race"]


def race(
    step: Race, client: UpstreamClient, scope: CancelScope
) -> tuple[Raced, UpstreamResponse | None]:
    """Carry out `step`; the loser is cancelled, and its thread closes its response.

    Returns:
        The result of each call, and the winner's response if it has one.
    """
    news = threading.Condition()
    calls = [_Call(step.first, client, scope.child(), news)]
    try:
        with news:
            news.wait_for(lambda: calls[0].is_done, step.after_s)
        if not calls[0].is_done and (second := step.second()) is not None:
            calls.append(_Call(second, client, scope.child(), news))
        with news:
            news.wait_for(lambda: _is_decided(calls, step))
            winner = _winner(calls, step)
            answers = tuple(call.answer for call in calls)
        _give_up([call for call in calls if call is not calls[winner]])
    except BaseException:  # the winner too: its response has no reader
        _give_up(calls)
        raise
    return Raced(answers, winner), calls[winner].response


class _Call:
    """One call and the thread that makes it."""

    def __init__(
        self, send: Send, client: UpstreamClient, scope: CancelScope, news: threading.Condition
    ) -> None:
        self.answer: ResponseHead | Failure | None = None
        self.response: UpstreamResponse | None = None
        self._error: BaseException | None = None
        self._is_given_up = False
        self._scope = scope
        self._news = news
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run, send, client), name="llm-mesh-hedge", daemon=True
        ).start()

    @property
    def is_done(self) -> bool:
        if self._error is not None:
            raise self._error
        return self.answer is not None

    def has_won(self, step: Race) -> bool:
        return isinstance(self.answer, ResponseHead) and step.is_good(self.answer)

    def give_up(self) -> None:
        self._scope.cancel()
        with self._news:
            self._is_given_up = True
            response = self.response if self.answer is not None else None
        if response is not None:
            response.close()

    def _run(self, send: Send, client: UpstreamClient) -> None:
        answer: ResponseHead | Failure | None = None
        response: UpstreamResponse | None = None
        try:
            with send.request.scope():
                response = client.open(send.request, send.deadline.at, self._scope)
            answer = response.head
        except UpstreamError as error:
            answer = Failure(error)
        except TimeoutError:
            answer = Failure(send.deadline.error())
        except BaseException as error:  # raised in the thread that waits for this one
            self._error = error
        with self._news:
            self.answer, self.response = answer, response
            is_late = self._is_given_up
            self._news.notify_all()
        if is_late and response is not None:
            response.close()


def _is_decided(calls: Sequence[_Call], step: Race) -> bool:
    return all(call.is_done for call in calls) or any(call.has_won(step) for call in calls)


def _winner(calls: Sequence[_Call], step: Race) -> int:
    """Return the first good response; else the last one, but a response before a failure."""
    for index, call in enumerate(calls):
        if call.has_won(step):
            return index
    return max(range(len(calls)), key=lambda i: (isinstance(calls[i].answer, ResponseHead), i))


def _give_up(calls: Sequence[_Call]) -> None:
    for call in calls:
        call.give_up()
