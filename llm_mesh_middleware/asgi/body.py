"""Read a request body, within limits of size and time."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from .._engine.tasks.prompt import result_of
from ..exceptions import ClientDisconnected, RequestTimeout
from ..inbound import too_large
from .protocol import Receive

__all__ = ["GONE", "read_body", "too_late"]

GONE = "the client went away"


def read_body(
    receive: Receive, max_bytes: int, timeout_s: float
) -> bytes | Coroutine[Any, Any, bytes]:
    """Return the whole body, or what waits for it; that is rare.

    The timeout covers all of the wait, so a slow body ends too.

    Raises:
        ClientDisconnected: the client disconnected.
        RequestTooLarge: it is longer than `max_bytes`.
        RequestTimeout: it did not arrive in time.
    """
    try:
        body = result_of(timeout_s, _read(receive, max_bytes))
    except TimeoutError:
        raise too_late() from None
    return body if body.__class__ is bytes else _in_time(body)  # type: ignore[arg-type]


async def _in_time(body: Coroutine[Any, Any, bytes]) -> bytes:
    try:
        return await body
    except TimeoutError:
        raise too_late() from None


def too_late() -> RequestTimeout:
    """Return the error for a body that is not there in time."""
    return RequestTimeout("the body did not arrive in time", headers={"connection": "close"})


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
        is_over = not message.get("more_body", False)
        if is_over and not chunks and data.__class__ is bytes:  # nearly always
            return data
        chunks.append(data)
        if is_over:
            return b"".join(chunks)
