"""Read a request body, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .._engine.tasks.prompt import result_of
from ..exceptions import ClientDisconnected, RequestTimeout
from ..inbound import too_large
from .protocol import Message, Receive

__all__ = ["GONE", "read_body", "too_late"]

GONE = "the client went away"


def read_body(
    receive: Receive, max_bytes: int, timeout_s: float
) -> bytes | Coroutine[Any, Any, bytes]:
    """Return the whole body if it is there, as nearly always, or else what waits for it.

    The timeout covers all of the wait, so a slow body ends too. Only a body that is waited for is
    compared with `max_bytes`.

    Raises:
        ClientDisconnected: the client disconnected.
        RequestTooLarge: it is longer than `max_bytes`.
        RequestTimeout: it did not arrive in time.
    """
    first = result_of(None, receive())
    if isinstance(first, dict) and not first.get("more_body", False):
        data: object = first.get("body", b"")
        if data.__class__ is bytes and first["type"] == "http.request":
            return data
    return _waited_for(first, receive, max_bytes, timeout_s)


async def _waited_for(
    first: Message | Coroutine[Any, Any, Message],
    receive: Receive,
    max_bytes: int,
    timeout_s: float,
) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            message = await first if isinstance(first, Coroutine) else first
            while True:
                data = _data(message)
                pieces.append(data)
                size += len(data)
                if size > max_bytes:
                    raise too_large(max_bytes)
                if not message.get("more_body", False):
                    return b"".join(pieces)
                message = await receive()
    except TimeoutError:
        raise too_late() from None


def _data(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnected(GONE)
    data: bytes = message.get("body", b"")
    return data


def too_late() -> RequestTimeout:
    """Return the error for a body that is not there in time."""
    return RequestTimeout("the body did not arrive in time", headers={"connection": "close"})
