"""Read a request body, within limits of size and time."""

from __future__ import annotations

from .._engine.tasks.prompt import within
from ..exceptions import ClientDisconnected, RequestTimeout
from ..inbound import too_large
from .protocol import Receive

__all__ = ["GONE", "read_body", "too_late"]

GONE = "the client went away"


async def read_body(receive: Receive, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body; the timeout covers all of it, so a slow one ends too.

    The timeout starts when the body has to be waited for, which is rare.

    Raises:
        ClientDisconnected: the client disconnected.
        RequestTooLarge: it is longer than `max_bytes`.
        RequestTimeout: it did not arrive in time.
    """
    try:
        return await within(timeout_s, _read(receive, max_bytes))
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
        chunks.append(data)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else data
