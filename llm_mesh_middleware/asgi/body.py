"""A request's body, read whole under limits of size and time."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

from .._core.http.request_head import too_large
from .._engine.tasks.interrupt import Interrupt
from ..exceptions import ClientDisconnected, RequestTimeout
from .protocol import Receive

__all__ = ["GONE", "read_body"]

GONE = "the client went away"


async def read_body(
    receive: Receive, *, max_bytes: int, timeout_s: float, interrupts: set[Interrupt]
) -> bytes:
    """The whole body; the time limit is on all of it, so a dripped one ends too.

    It begins when the body has to be waited for, which is seldom, and so is its price. Meanwhile
    `interrupts` has one that ends the wait.

    Raises:
        ClientDisconnected: the client did not wait.
        RequestTooLarge: there is more than `max_bytes` of it.
        RequestTimeout: it was not there in time.
        Exception: what the interrupt was fired with.
    """
    reading = _read(receive, max_bytes)
    try:
        awaited = reading.send(None)
    except StopIteration as stop:
        body: bytes = stop.value
        return body
    with Interrupt() as interrupt:
        limit = asyncio.get_running_loop().call_later(timeout_s, _give_up, interrupt)
        interrupts.add(interrupt)
        try:
            return await _go_on(reading, awaited)
        finally:
            interrupts.discard(interrupt)
            limit.cancel()


@types.coroutine
def _go_on(reading: Coroutine[Any, Any, bytes], awaited: object) -> Generator[Any, Any, bytes]:
    """What is left of `reading`, which was begun by hand and waits for `awaited`."""
    while True:
        failure: BaseException | None = None
        try:
            yield awaited
        except BaseException as exc:  # the task was cancelled: that is for `reading` to know
            failure = exc
        try:
            awaited = reading.send(None) if failure is None else reading.throw(failure)
        except StopIteration as stop:
            body: bytes = stop.value
            return body


async def _read(receive: Receive, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected(GONE)
        data = message.get("body", b"")
        size += len(data)
        if size > max_bytes:
            raise too_large(max_bytes)
        chunks.append(data)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else data


def _give_up(interrupt: Interrupt) -> None:
    message = "the body did not arrive in time"
    interrupt.fire(RequestTimeout(message, headers={"connection": "close"}))
