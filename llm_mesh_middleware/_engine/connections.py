"""The synchronous connections to one endpoint, kept while they are idle.

httpcore's own pool looks at every connection for every request, twice. Here a call takes the
connection that was used last and brings it back; one lock-free queue is all that threads share.
"""

from __future__ import annotations

import math
import ssl
import time
from collections import deque

from .._core.messages import UpstreamRequest
from .._core.upstream import Endpoint
from .http1 import AnswerReader
from .line import Line
from .upstream import request_head
from .wire import Wire

__all__ = ["Call", "Connections"]

_KEEPALIVE_S = 5.0


class Connections:
    """Connections to `endpoint`; each carries one call at a time."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._context = context
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        # The latest last, each with the time when it is too old.
        self._idle: deque[tuple[Wire, float]] = deque()
        self._is_closed = False

    def open(self, request: UpstreamRequest, line: Line) -> Call:
        """Send `request` and read the answer's head; the call must be closed on every path.

        Raises:
            UpstreamProtocolError: the request cannot be sent.
            httpcore.RemoteProtocolError: the answer is not HTTP.
            httpcore.NetworkError: there is no connection, or it is broken.
            httpcore.ConnectTimeout: a connection took too long.
            TimeoutError: the answer did.
        """
        head = request_head(request, target=request.target, fields=request.headers)
        wire = self._take() or Wire(self._endpoint, self._context, line)
        try:
            is_sent = wire.send(head, request.body, line)
            answer = AnswerReader()
            while (rest := answer.feed_head(wire.receive(line))) is None:
                pass
        except BaseException:
            wire.close()
            raise
        answer.keeps = answer.keeps and is_sent
        return Call(answer, rest, wire, line, self)

    def give_back(self, wire: Wire) -> None:
        """Keep a connection whose call is over."""
        if self._is_closed:
            wire.close()
            return
        now = time.monotonic()
        self._idle.append((wire, now + _KEEPALIVE_S))
        if self._is_closed or self._oldest_until() < now:  # one too many is closed at a time
            self._drop_oldest()

    def close(self) -> None:
        """Close what is idle now, and what is in use when its call is over."""
        self._is_closed = True
        while self._idle:
            self._drop_oldest()

    def _take(self) -> Wire | None:
        while self._idle:
            try:
                wire, too_old_at = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if time.monotonic() < too_old_at and not wire.is_stale():
                return wire
            wire.close()
        return None

    def _oldest_until(self) -> float:
        try:
            return self._idle[0][1]
        except IndexError:  # another thread has taken the very one that was given back
            return math.inf

    def _drop_oldest(self) -> None:
        try:
            wire, _ = self._idle.popleft()
        except IndexError:  # another thread was quicker
            return
        wire.close()


class Call:
    """An answer whose head has come, and the connection that it comes on."""

    __slots__ = ("_answer", "_connections", "_is_closed", "_line", "_rest", "_wire")

    def __init__(
        self, answer: AnswerReader, rest: bytes, wire: Wire, line: Line, connections: Connections
    ) -> None:
        self._answer = answer
        self._rest = rest  # of the body, what came together with the head
        self._wire = wire
        self._line = line
        self._connections = connections
        self._is_closed = False

    @property
    def status(self) -> int:
        """The answer's status."""
        return self._answer.status

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The answer's fields."""
        return self._answer.fields

    def read(self) -> bytes:
        """The next bytes of the body as soon as there are any; empty at its end.

        Raises:
            Exception: as for `Connections.open`.
        """
        answer = self._answer
        while not answer.is_over:
            data, self._rest = self._rest or self._wire.receive(self._line), b""
            if data := answer.feed(data):
                return data
        return b""

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._answer.is_over and self._answer.keeps:
            self._connections.give_back(self._wire)
        else:
            self._wire.close()
