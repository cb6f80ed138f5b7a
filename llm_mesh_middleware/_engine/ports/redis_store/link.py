"""One connection to a server, shared by all that an event loop sends: answers come in order.

    write    the commands of a batch, in one piece
    read     each answer goes to the oldest batch that still lacks one

A library connects: it knows TLS, passwords and databases. From then on bytes are passed on without
it, as it spends more on a call than the server does: no task, no timer and no stream for each.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import hiredis
from redis.exceptions import (
    AskError,
    InvalidResponse,
    MovedError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Disconnected

__all__ = ["Batch", "Link", "pack"]

# Its stub says that there is one argument.
pack: Callable[[Any], bytes] = hiredis.pack_command
_MORE = object()
_PUSHED = hiredis.PushNotification
_ERRORS: dict[str, Callable[[str], Exception]] = {
    "ASK": AskError,
    "MOVED": MovedError,
    "NOSCRIPT": NoScriptError,
    "TRYAGAIN": TryAgainError,
}


def _error(text: str) -> Exception:
    """Return the library's error for an answer of the server."""
    code, _, rest = text.partition(" ")
    known = _ERRORS.get(code)
    return ResponseError(text) if known is None else known(rest)


class Batch(Protocol):
    """Commands that were sent together; `count` is how many."""

    count: int

    def answered(self, answers: list[Any]) -> None:
        """Take the answers; one may be an error."""

    def lost(self, error: Exception) -> None:
        """Take note that there will be no answers."""


class Link(asyncio.Protocol):
    """A connection; it is not used again when it has failed."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        """Take over a connection of the library that is established.

        Args:
            connection: the library's.
            timeout_s: how long a batch may wait for its answers.
        """
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse, replyError=_error, notEnoughData=_MORE
        )
        self._sent: deque[tuple[float, Batch]] = deque()
        self._answers: list[Any] = []
        self._has_timer = False
        self._drained: asyncio.Event | None = None
        self.transport = connection._writer.transport
        self._former = self.transport.get_protocol()
        self.transport.set_protocol(self)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for an answer."""
        return not self._sent

    def send(self, data: bytes, batch: Batch) -> None:
        """Write commands, and give `batch` their answers later."""
        until = self._loop.time() + self._timeout_s
        self._sent.append((until, batch))
        if not self._has_timer:  # one for all, which is seldom due
            self._has_timer = True
            self._loop.call_at(until, self._look)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Read answers."""
        parser = self._parser
        parser.feed(data)
        try:
            while (answer := parser.gets()) is not _MORE:
                if answer.__class__ is not _PUSHED:
                    self._take(answer)
        except InvalidResponse as error:
            self.close(error)

    def _take(self, answer: Any) -> None:
        if not self._sent:
            raise InvalidResponse("the server has answered what was not asked")
        batch = self._sent[0][1]
        if batch.count == 1:  # as of a call that is alone
            answers = [answer]
        else:
            answers = self._answers
            answers.append(answer)
            if len(answers) < batch.count:
                return
            self._answers = []
        self._sent.popleft()
        batch.answered(answers)
        if self._drained is not None and not self._sent:
            self._drained.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those who wait."""
        self.transport = None
        self._former.connection_lost(exc)
        self._connection._close()
        self._fail(exc or Disconnected("the server has closed the connection"))

    async def drain(self) -> None:
        """Wait until nothing waits for an answer, or the timeout has passed."""
        if self._sent:
            self._drained = drained = asyncio.Event()
            await drained.wait()

    def close(self, error: Exception | None = None) -> None:
        """Close the connection; what waits for answers gets none."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        self._fail(error or Disconnected("the connection was closed"))

    def abandon(self) -> None:
        """Drop the connection: its event loop is closed, and can call nothing any more.

        The server is told. What waited for an answer has ended with the loop.
        """
        transport, self.transport = self.transport, None
        if transport is None:
            return
        own = transport.get_extra_info("socket")
        with suppress(OSError, RuntimeError, TypeError):  # uvloop has closed it already
            own.shutdown(socket.SHUT_RDWR)
        for close in (transport.abort, self._connection._close):
            with suppress(RuntimeError):
                close()

    def _fail(self, error: Exception) -> None:
        sent, self._sent = self._sent, deque()
        for _, batch in sent:
            batch.lost(error)
        if self._drained is not None:
            self._drained.set()

    def _look(self) -> None:
        """Give up the server if the oldest batch has waited too long."""
        self._has_timer = False
        if not self._sent:
            return
        until = self._sent[0][0]
        if until <= self._loop.time():
            self.close(TimeoutError())
        else:
            self._has_timer = True
            self._loop.call_at(until, self._look)
