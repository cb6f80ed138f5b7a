"""One request for a virtual host, from its arrival to the last byte of its reply.

    respond   read body ─> serve ──────> send head ─> send pieces ─> end
    client    may leave, which interrupts
    server    may interrupt (graceful shutdown) or cancel (end of its grace period)

An interrupt before the head becomes an error reply, one during a stream its last event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, Protocol

from .._core.private import PerCall
from .._engine.tasks.interrupt import Interrupt
from .._engine.tasks.prompt import begun, within
from ..exceptions import AnswerableError, ClientDisconnected, ServerShutdown
from ..inbound import Addressed, AsyncDelivery, ClientRequest, Inbound, Reply

__all__ = ["ReplyClient", "Responder"]

# How long a client that does not read may delay the end of a process.
_LAST_WORDS_S = 1.0


class ReplyClient(Protocol):
    """The client of a request: an ASGI server's `receive` and `send`, or a connection.

    It is the port for the body of the request. What takes the reply returns None if it was taken at
    once, else something to wait for.
    """

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The running event loop, if it is known."""

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The running task, if it is known."""

    def begin(self, interrupt: Interrupt) -> None:
        """Serving begins: fire `interrupt` if the client leaves after its request was read."""

    def close(self) -> None:
        """Serving has ended."""

    def aask(self, request: Any, until: float | None) -> Awaitable[bytes] | bytes:
        """Return the body, of at most `request` bytes."""

    def whole(self, reply: Reply) -> Awaitable[None] | None:
        """Send a reply whose body is bytes."""

    def start(self, reply: Reply) -> Awaitable[None] | None:
        """Send the head of a stream."""

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Send a piece of it."""

    def end(self, data: bytes) -> Awaitable[None] | None:
        """Send the last piece, which may be empty."""


class Responder(PerCall):
    """One request for a virtual host.

    `interrupts` has the request's own while it is served, so that a shutdown can end it. The client
    is asked for the body, unless the request `has_body`.
    """

    _inbound: Inbound[Any]
    _addressed: Addressed
    _client: ReplyClient
    _interrupts: set[Interrupt]
    _has_body: bool = False
    _has_reply: bool = False

    async def respond(self, request: ClientRequest) -> None:
        """Send the reply, or stop if the client disconnects."""
        client, interrupts, delivery = self._client, self._interrupts, None
        try:
            with Interrupt(client.loop, client.task) as interrupt:
                interrupts.add(interrupt)
                client.begin(interrupt)
                try:
                    delivery = await self._inbound.aserve(
                        self._addressed,
                        request,
                        None if self._has_body else client,
                        why=interrupt.reason,
                        loop=interrupt.loop,
                    )
                    self._has_reply = True
                    if delivery.reply.body.__class__ is not bytes:
                        await self._stream(delivery, interrupt)
                    elif (rest := client.whole(delivery.reply)) is not None:
                        rest = begun(rest)
                        if rest is not None:
                            await within(self._inbound.idle_s, rest)
                finally:
                    # A client that leaves after its reply must not leave an open connection.
                    interrupt.disarm()
                    interrupts.discard(interrupt)
                    client.close()
                    if delivery is not None and delivery.driver is not None:
                        await delivery.aclose()
        except AnswerableError as error:
            await self._put(client.whole(self._addressed.refusal(error)))
        except asyncio.CancelledError:  # by the server, at the end of its grace period
            if not self._has_reply:
                await self._apologise()
            raise
        except (ClientDisconnected, OSError) as left:
            # OSError: `send` to a client that is gone (ASGI 2.4). TimeoutError is one: a client
            # that reads nothing, which must not hold a provider's connection.
            _let_go(left)

    async def _stream(self, delivery: AsyncDelivery, interrupt: Interrupt) -> None:
        has_started = False
        try:
            await self._put(self._client.start(delivery.reply))
            has_started = True
            await delivery.pass_on(self._client.write, self._inbound.idle_s)
            await self._put(self._client.end(b""))
        except asyncio.CancelledError:
            if isinstance(interrupt.error, ClientDisconnected) or not has_started:
                raise
            await self._break_off(delivery)
            if interrupt.error is None:
                raise

    async def _break_off(self, delivery: AsyncDelivery) -> None:
        """Send a last event: without it, a stream cut by a shutdown would look complete."""
        last = await delivery.end(ServerShutdown())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._put(self._client.end(last))

    async def _apologise(self) -> None:
        """Send the reply of a server that shuts down."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._put(self._client.whole(self._addressed.refusal(ServerShutdown())))

    async def _put(self, waiting: Awaitable[None] | None) -> None:
        if waiting is not None:
            await within(self._inbound.idle_s, waiting)


def _let_go(error: BaseException) -> None:
    """Drop the frames that an error has passed through: some of them hold the error.

    The garbage collector would free them, but looks at what has been there for long only seldom.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None
