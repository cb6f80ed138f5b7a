"""Signs of life for a client that waits for a stream, under WSGI (`LLM_MESH_SSE_KEEPALIVE`).

They cost a thread for each request, and they are how a client that has gone is noticed while its
provider is silent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from .._core.flow.reply import Refusal
from .._core.http.sse import make_event
from .._core.routing.table import VirtualHost
from .._core.values.payload import read_bool
from .._engine.drivers.delivery import Delivery
from .._engine.drivers.keepalive import COMMENT
from .._engine.drivers.producer import Producer
from .._engine.tasks.cancel_scope import CancelScope
from ..exceptions import AnswerableError
from ..inbound import ClientRequest
from ..mesh import Mesh
from .reply import Answer

__all__ = ["answer_kept_alive"]

_EVENTS = (b"content-type", b"text/event-stream")

Pieces = Producer[Delivery | bytes]


def answer_kept_alive(mesh: Mesh, host: VirtualHost, request: ClientRequest) -> Answer:
    """The answer to `request`; a stream that is late begins with comments, under status 200.

    Raises:
        AnswerableError: what `Mesh.send` raises, while nothing is committed.
    """
    interval_s = mesh.settings.sse_keepalive
    scope = CancelScope()
    pieces = Producer(_produce(mesh, host, request, scope), scope.cancel)
    try:
        try:
            first = pieces.next(interval_s)
        except TimeoutError:
            if read_bool(request.fields, "stream") is True:
                body = _begun(pieces, interval_s)
                return Answer(200, [_EVENTS], body, is_stream=True, close=pieces.close)
            first = pieces.next()
    except BaseException:
        pieces.close()
        raise
    if not isinstance(first, Delivery):
        raise TypeError("a delivery comes first")
    reply = first.reply
    body = _rest(pieces, interval_s)
    return Answer(reply.status, reply.headers, body, is_stream=reply.is_stream, close=pieces.close)


def _produce(
    mesh: Mesh, host: VirtualHost, request: ClientRequest, scope: CancelScope
) -> Generator[Delivery | bytes, None, None]:
    delivery = mesh.send(host, request, scope=scope)
    try:
        yield delivery
        if delivery.reply.is_stream:
            yield from delivery
        else:
            yield delivery.take()
    finally:
        delivery.close()


def _begun(pieces: Pieces, interval_s: float) -> Iterator[bytes]:
    """A stream that is committed to before there is an answer: whatever comes must be an event."""
    yield COMMENT
    delivery = None
    try:
        while not isinstance(delivery, Delivery):
            try:
                delivery = pieces.next(interval_s)
            except TimeoutError:
                yield COMMENT
    except AnswerableError as error:
        yield make_event(Refusal(error).body)
        return
    if delivery.reply.is_stream or _EVENTS in delivery.reply.headers:
        yield from _rest(pieces, interval_s)
        return
    for body in _rest(pieces, interval_s):
        yield make_event(body.replace(b"\r", b"").replace(b"\n", b""))


def _rest(pieces: Pieces, interval_s: float) -> Iterator[bytes]:
    while True:
        try:
            piece = pieces.next(interval_s)
        except TimeoutError:
            yield COMMENT
            continue
        if not isinstance(piece, bytes):
            return
        yield piece
