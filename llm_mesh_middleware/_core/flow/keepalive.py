"""Keep-alive events for the connection of a waiting client (`LLM_MESH_SSE_KEEPALIVE`).

Load balancers close connections after a minute of silence; reasoning models take longer.

    flow   ── step takes too long ──> Reply 200 with a stream, although there is no response yet:
                                      keep-alive events until the flow returns or raises, then its
                                      result as events
    body   ── step takes too long ──> a keep-alive, and the step continues

A keep-alive is a comment, or the event that the client's dialect has for this purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ...exceptions import AnswerableError
from ..dialect import Dialect
from ..values.steps import SILENCE, Body, Step, StepResult, Watch
from .reply import Flow, Reply

__all__ = ["keep_alive"]

_EVENTS = (b"content-type", b"text/event-stream")

Result = TypeVar("Result")
Clock = Callable[[], float]


def keep_alive(flow: Flow, dialect: Dialect, *, interval_s: float, clock: Clock) -> Flow:
    """Run `flow`, and send its client a keep-alive whenever it has waited too long.

    The first one commits the reply to status 200.

    Args:
        flow: the exchange.
        dialect: the client's.
        interval_s: the longest silence.
        clock: a monotonic clock, in seconds.
    """
    keepalive = dialect.keepalive
    opening = _watched(flow, keepalive, interval_s, clock)
    advance, value = opening.send, None
    is_ended = False
    try:
        while True:
            item = advance(value)
            if isinstance(item, bytes):
                if not is_ended:
                    return Reply(200, [_EVENTS], _opened(opening, dialect, interval_s, clock))
                advance, value = opening.send, None
                continue
            try:
                advance, value = opening.send, (yield item)
            except BaseException as reason:  # for the flow to handle
                advance, value, is_ended = opening.throw, reason, True
    except StopIteration as stop:
        reply: Reply = stop.value
    if isinstance(reply.body, bytes):
        return reply
    return Reply(
        reply.status, reply.headers, _watched(reply.body, dialect.keepalive, interval_s, clock)
    )


def _opened(
    opening: Generator[Step | bytes, StepResult, Reply],
    dialect: Dialect,
    interval_s: float,
    clock: Clock,
) -> Body:
    """Yield keep-alive events until there is a reply, then the reply as events."""
    yield dialect.keepalive
    try:
        reply = yield from opening
    except AnswerableError as error:
        yield dialect.error_event(error)
        return
    if not isinstance(reply.body, bytes):
        yield from _watched(reply.body, dialect.keepalive, interval_s, clock)
    elif _EVENTS in reply.headers:
        yield reply.body
    else:
        yield dialect.body_event(reply.body)


def _watched(
    steps: Generator[Any, StepResult, Result], keepalive: bytes, interval_s: float, clock: Clock
) -> Generator[Step | bytes, StepResult, Result]:
    """Yield the steps, each in a `Watch`, and a keep-alive for each interval that one takes."""
    advance, value = steps.send, None
    while True:
        try:
            item = advance(value)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        try:
            if isinstance(item, bytes):
                value = yield item
            else:
                value = yield Watch(item, clock() + interval_s)
                while value is SILENCE:
                    yield keepalive
                    value = yield Watch(None, clock() + interval_s)
            advance = steps.send
        except BaseException as reason:  # for the steps to handle
            advance, value = steps.throw, reason
