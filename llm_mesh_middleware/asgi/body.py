"""Read a request body, within a limit of size."""

from __future__ import annotations

from ..exceptions import ClientDisconnected, RequestTimeout
from ..inbound import too_large
from .protocol import Receive

__all__ = ["GONE", "read_body", "too_late"]

GONE = "the client went away"


def too_late() -> RequestTimeout:
    """Return the error for a body that is not there in time."""
    return RequestTimeout("the body did not arrive in time", headers={"connection": "close"})


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        ClientDisconnected: the client disconnected.
        RequestTooLarge: it is longer than `max_bytes`.
    """
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
