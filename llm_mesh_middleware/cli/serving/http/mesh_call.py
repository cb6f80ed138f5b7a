"""A request for a virtual host, served by the mesh without an ASGI scope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ...._core.private import PerCall
from ...._engine.tasks.interrupt import Interrupt
from ...._engine.tasks.prompt import within
from ....asgi._responder import Responder
from ....asgi.body import GONE, too_late
from ....exceptions import ClientDisconnected
from ....inbound import Addressed, ClientRequest, Reply
from ..direct import Direct
from .incoming import ARRIVED, IncomingBody
from .reply_writer import ReplyWriter, Sink

__all__ = ["MeshCall"]


class MeshCall(PerCall):
    """One request for the mesh: the port that reads its body, and the client of its reply.

    `task` serves it.
    """

    _direct: Direct
    _addressed: Addressed
    _request: ClientRequest
    body: IncomingBody
    writer: ReplyWriter
    _sink: Sink
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] = None  # type: ignore[assignment]  # set when its turn comes
    _interrupt: Interrupt | None = None

    def run(self) -> Awaitable[None]:
        """Serve the request, which nearly always has its body."""
        direct, has_body = self._direct, self.body is ARRIVED
        responder = Responder(direct.inbound, self._addressed, self, direct.interrupts, has_body)
        return responder.respond(self._request)

    def gone(self) -> None:
        """Note that the client has left."""
        if self._interrupt is not None:
            self._interrupt.fire(ClientDisconnected(GONE))

    def begin(self, interrupt: Interrupt) -> None:
        """Serving begins; `gone` fires `interrupt` from now on."""
        self._interrupt = interrupt

    def close(self) -> None:
        """Serving has ended."""
        self._interrupt = None

    async def aask(self, request: Any, until: float | None) -> bytes:
        """Return the body, of at most `request` bytes."""
        body = self.body
        if body.is_complete and body.size <= request:  # the usual case: nothing to wait for
            return body.take()
        try:
            return await within(self._direct.body_limit_s, self.body.whole(request))
        except TimeoutError:
            raise too_late() from None

    def whole(self, reply: Reply) -> None:
        """Send a reply whose body is bytes."""
        if not self.body.is_complete:
            self._hold_on()
        self.writer.whole(reply.status, reply.headers, reply.body)  # type: ignore[arg-type]

    def start(self, reply: Reply) -> Awaitable[None] | None:
        """Send the head of a stream."""
        self._hold_on()
        self.writer.start(reply.status, reply.headers)
        return self._sink.drained()

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Send a piece of it."""
        self.writer.write(data)
        return self._sink.drained()

    def end(self, data: bytes) -> None:
        """Send the last piece."""
        self.writer.end(data)

    def _hold_on(self) -> None:
        if self.body.may_never_come:
            self.writer.keeps_alive = False
