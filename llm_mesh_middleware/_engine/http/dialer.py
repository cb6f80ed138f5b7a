"""The synchronous connections to one endpoint."""

from __future__ import annotations

import ssl

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ..tasks.cancel_scope import Line
from .http1 import AnswerReader
from .pool import Pool
from .protocols import request_head
from .wire import Wire

__all__ = ["Call", "Connections"]


class Connections:
    """Connections to `endpoint`; each carries one call at a time."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._context = context
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        self._pool: Pool[Wire] = Pool()

    def open(self, request: UpstreamRequest, line: Line) -> Call:
        """Send `request` and read the answer's head; the call must be closed on every path.

        Raises:
            UpstreamProtocolError: the request cannot be sent.
            NotHTTP: the answer is not HTTP, or there is none.
            httpcore.NetworkError: there is no connection, or it is broken.
            httpcore.ConnectTimeout: a connection took too long.
            TimeoutError: the answer did.
        """
        head = request_head(request, target=request.target, fields=request.headers)
        wire = self._pool.take() or Wire(self._endpoint, self._context, line)
        try:
            is_sent = wire.send(head, request.body, line)
            answer = AnswerReader()
            while (rest := answer.feed_head(wire.receive(line))) is None:
                pass
        except BaseException:
            wire.close()
            raise
        answer.keeps = answer.keeps and is_sent
        return Call(answer, rest, wire, line, self._pool)

    def close(self) -> None:
        """Close what is idle now, and what is in use when its call is over."""
        self._pool.close()


class Call:
    """An answer whose head has come, and the connection that it comes on."""

    __slots__ = ("_answer", "_is_closed", "_line", "_pool", "_rest", "_wire")

    def __init__(
        self, answer: AnswerReader, rest: bytes, wire: Wire, line: Line, pool: Pool[Wire]
    ) -> None:
        self._answer = answer
        self._rest = rest  # of the body, what came together with the head
        self._wire = wire
        self._line = line
        self._pool = pool
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
            self._pool.give_back(self._wire)
        else:
            self._wire.close()
