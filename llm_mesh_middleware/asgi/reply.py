"""An answer of the mesh for an asynchronous framework: a status, header fields, and a body.

For writers of adapters; applications use the adapters themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from .._core.flow.reply import Refusal
from .._core.http.sse import make_event
from .._core.routing.table import VirtualHost
from .._core.values.payload import read_bool
from .._engine.drivers.delivery import AsyncDelivery
from .._engine.drivers.keepalive import COMMENT, kept_alive
from ..exceptions import AnswerableError
from ..inbound import ClientRequest
from ..mesh import Mesh

__all__ = ["AsyncAnswer", "make_answer", "refused"]

RawFields = Sequence[tuple[bytes, bytes]]

_EVENTS = (b"content-type", b"text/event-stream")

# The server's own business, and no field at all in HTTP/2 (RFC 9113 8.2.2).
_SERVERS_OWN = frozenset((b"connection",))


class AsyncAnswer:
    """Iterate it once, and close it on every path: `aclose` gives the upstream connection back.

    An iteration that ends, fails or is cancelled has closed it already.
    """

    __slots__ = ("_aclose", "_body", "headers", "is_closed", "is_stream", "status")

    def __init__(
        self,
        status: int,
        headers: RawFields,
        body: AsyncGenerator[bytes, None],
        *,
        is_stream: bool,
        aclose: Callable[[], Awaitable[None]],
    ) -> None:
        self.status = status
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name not in _SERVERS_OWN
        ]
        self.is_stream = is_stream
        self.is_closed = False
        self._body = body
        self._aclose = aclose

    @classmethod
    def of(cls, delivery: AsyncDelivery, keepalive_s: float = 0) -> AsyncAnswer:
        """The answer that `delivery` brings."""
        reply = delivery.reply
        body = _body(delivery, keepalive_s)
        return cls(
            reply.status, reply.headers, body, is_stream=reply.is_stream, aclose=delivery.aclose
        )

    def __aiter__(self) -> AsyncAnswer:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._body)
        except BaseException:  # the end of the body among them
            await self.aclose()
            raise

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self])

    async def aclose(self) -> None:
        """Let go of the upstream; before the end it ends the call."""
        self.is_closed = True
        await self._body.aclose()
        await self._aclose()


async def make_answer(mesh: Mesh, host: VirtualHost, request: ClientRequest) -> AsyncAnswer:
    """The answer to `request`, which is addressed to `host`; an error object if it fails.

    With `LLM_MESH_SSE_KEEPALIVE`, a stream that is late begins with comments, under status 200.
    """
    interval_s = mesh.settings.sse_keepalive
    try:
        if interval_s:
            return await _make_kept_alive(mesh, host, request, interval_s)
        return AsyncAnswer.of(await mesh.asend(host, request))
    except AnswerableError as error:
        return refused(error)


def refused(error: AnswerableError) -> AsyncAnswer:
    """The mesh's own error as an answer."""
    return AsyncAnswer.of(AsyncDelivery(Refusal(error)))


async def _body(delivery: AsyncDelivery, keepalive_s: float) -> AsyncGenerator[bytes, None]:
    if not delivery.reply.is_stream:
        yield delivery.take()
        return
    body = kept_alive(delivery, keepalive_s) if keepalive_s else aiter(delivery)
    try:
        async for piece in body:
            yield piece
    finally:
        await body.aclose()


async def _make_kept_alive(
    mesh: Mesh, host: VirtualHost, request: ClientRequest, interval_s: float
) -> AsyncAnswer:
    opening = asyncio.create_task(mesh.asend(host, request))
    try:
        done, _ = await asyncio.wait((opening,), timeout=interval_s)
        if not done and read_bool(request.fields, "stream") is not True:
            await asyncio.wait((opening,))
    except BaseException:
        await _give_up(opening)
        raise
    if opening.done():
        return AsyncAnswer.of(opening.result(), interval_s)
    return AsyncAnswer(
        200,
        [_EVENTS],
        _begun(opening, interval_s),
        is_stream=True,
        aclose=lambda: _give_up(opening),
    )


async def _begun(
    opening: asyncio.Task[AsyncDelivery], interval_s: float
) -> AsyncGenerator[bytes, None]:
    """A stream that is committed to before there is an answer: whatever comes must be an event."""
    yield COMMENT
    while not (await asyncio.wait((opening,), timeout=interval_s))[0]:
        yield COMMENT
    try:
        delivery = opening.result()
    except AnswerableError as error:
        yield make_event(Refusal(error).body)
        return
    is_events = delivery.reply.is_stream or _EVENTS in delivery.reply.headers
    body = _body(delivery, interval_s)
    try:
        async for piece in body:
            yield piece if is_events else make_event(piece.replace(b"\r", b"").replace(b"\n", b""))
    finally:
        await body.aclose()


async def _give_up(opening: asyncio.Task[AsyncDelivery]) -> None:
    opening.cancel()
    await asyncio.wait((opening,))
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().aclose()
