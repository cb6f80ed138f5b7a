"""An answer of the mesh as WSGI wants it: a status, header fields, and an iterable to be closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

from .._core.flow.reply import Refusal
from .._engine.drivers.delivery import Delivery
from ..exceptions import AnswerableError

__all__ = ["Answer", "refused"]

RawFields = Sequence[tuple[bytes, bytes]]

# The server's own business (PEP 3333, "Other HTTP Features").
_SERVERS_OWN = frozenset((b"connection",))


class Answer:
    """Iterate it once, and close it on every path: `close` gives the upstream connection back.

    A client that has gone is noticed when the server cannot write to it; it then calls `close`.
    """

    __slots__ = ("_body", "_close", "headers", "is_stream", "status")

    def __init__(
        self,
        status: int,
        headers: RawFields,
        body: Iterator[bytes],
        *,
        is_stream: bool,
        close: Callable[[], None],
    ) -> None:
        self.status = status
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name not in _SERVERS_OWN
        ]
        self.is_stream = is_stream
        self._body = body
        self._close = close

    @classmethod
    def of(cls, delivery: Delivery) -> Answer:
        """The answer that `delivery` brings; a whole one needs no connection any more."""
        reply = delivery.reply
        if reply.is_stream:
            body = iter(delivery)
        else:
            body = iter((delivery.take(),))
            delivery.close()
        return cls(
            reply.status, reply.headers, body, is_stream=reply.is_stream, close=delivery.close
        )

    @property
    def status_line(self) -> str:
        """The status with its phrase, which PEP 3333 insists on."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        return f"{self.status} {phrase}"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._body)

    def close(self) -> None:
        """Let go of the upstream; before the end it ends the call."""
        self._close()


def refused(error: AnswerableError) -> Answer:
    """The mesh's own error as an answer."""
    return Answer.of(Delivery(Refusal(error)))
