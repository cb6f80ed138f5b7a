"""A reply of the mesh for an asynchronous framework: a status, header fields, and a body.

For writers of adapters; applications use the adapters themselves.
"""

from __future__ import annotations

from ..inbound import AsyncDelivery

__all__ = ["AsyncReply"]


class AsyncReply:
    """A reply: iterate it once, and close it on every path, to close the upstream connection.

    An iteration that ends, fails or is cancelled closes it.
    """

    __slots__ = ("_delivery", "headers", "is_closed", "is_stream", "status")

    def __init__(self, delivery: AsyncDelivery) -> None:
        reply = delivery.reply
        self.status = reply.status
        self.headers = reply.text_headers()
        self.is_stream = reply.is_stream
        self.is_closed = False
        self._delivery = delivery

    def __aiter__(self) -> AsyncReply:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._delivery.read()
        except BaseException:
            await self.aclose()
            raise
        if not data:
            await self.aclose()
            raise StopAsyncIteration
        return data

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([piece async for piece in self])

    async def aclose(self) -> None:
        """Close the upstream connection; before the end it ends the call."""
        self.is_closed = True
        await self._delivery.aclose()
