"""A blocking connection, and the pool of those to one endpoint.

httpcore opens and closes the socket, which is then used directly; each wait is limited by the
`CancelScope` of the call.
"""

from __future__ import annotations

import ssl

import httpcore

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ..tasks.cancel_scope import CancelScope
from .http1 import ResponseReader
from .pool import Pool
from .protocols import MAX_JOINED_BYTES, request_head

__all__ = ["Call", "ConnectionPool"]

_BACKEND = httpcore.SyncBackend()
_READ_BYTES = 64 * 1024


class Connection:
    """A connection to `endpoint`: httpcore opens and closes it, the socket is used directly.

    It outlives the call that opened it and serves others.
    """

    __slots__ = ("_socket", "_stream")

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, scope: CancelScope
    ) -> None:
        """Connect.

        Raises:
            httpcore.ConnectError: nobody answers, or its certificate is not the right one.
            httpcore.ConnectTimeout: nobody does in time.
        """
        scope.has_connected = True
        seconds = scope.remaining_s(connecting=True)
        stream = _BACKEND.connect_tcp(endpoint.address, endpoint.port, timeout=seconds)
        if context is not None:
            scope.attach(stream.get_extra_info("socket"))
            name = endpoint.server_name or endpoint.address
            stream = stream.start_tls(context, name, timeout=scope.remaining_s(connecting=True))
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        if context is not None:
            # Else a reset would pass for the end of a body that only the connection's end delimits.
            self._socket.suppress_ragged_eofs = False

    def send(self, head: bytes, body: bytes, scope: CancelScope) -> bool:
        """Send a request; whether all of it could be sent.

        A server that closes early may have said why before, so a failure is no error yet.

        Raises:
            TimeoutError: it took too long.
        """
        scope.attach(self._socket)  # from now on it is this call's
        try:
            if len(body) <= MAX_JOINED_BYTES:
                self._send(head + body, scope)
            else:
                self._send(head, scope)
                self._send(body, scope)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def receive(self, scope: CancelScope) -> bytes:
        """The bytes that have come; empty at the end.

        Raises:
            httpcore.ReadError: the connection is broken.
            TimeoutError: none came in time.
        """
        self._socket.settimeout(scope.remaining_s())
        try:
            data: bytes = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            raise
        except OSError as exc:
            raise httpcore.ReadError(exc) from exc
        return data

    def is_stale(self) -> bool:
        """Whether it was closed while it was idle: then there is an end to be read."""
        return bool(self._stream.get_extra_info("is_readable"))

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def _send(self, data: bytes, scope: CancelScope) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(scope.remaining_s())
            view = view[self._socket.send(view) :]


class ConnectionPool:
    """Connections to `endpoint`; each carries one call at a time."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._context = context
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        self._idle: Pool[Connection] = Pool()

    def open(self, request: UpstreamRequest, scope: CancelScope) -> Call:
        """Send `request` and read the answer's head; the call must be closed on every path.

        Raises:
            UpstreamProtocolError: the request cannot be sent.
            NotHTTP: the answer is not HTTP, or there is none.
            httpcore.NetworkError: there is no connection, or it is broken.
            httpcore.ConnectTimeout: a connection took too long.
            TimeoutError: the answer did.
        """
        head = request_head(request, target=request.target, fields=request.headers)
        connection = self._idle.take() or Connection(self._endpoint, self._context, scope)
        try:
            is_sent = connection.send(head, request.body, scope)
            answer = ResponseReader()
            while (rest := answer.feed_head(connection.receive(scope))) is None:
                pass
        except BaseException:
            connection.close()
            raise
        answer.keeps = answer.keeps and is_sent
        return Call(answer, rest, connection, scope, self._idle)

    def close(self) -> None:
        """Close what is idle now, and what is in use when its call is over."""
        self._idle.close()


class Call:
    """An answer whose head has come, and the connection that it comes on."""

    __slots__ = ("_answer", "_is_closed", "_scope", "_pool", "_rest", "_connection")

    def __init__(
        self,
        answer: ResponseReader,
        rest: bytes,
        connection: Connection,
        scope: CancelScope,
        pool: Pool[Connection],
    ) -> None:
        self._answer = answer
        self._rest = rest  # of the body, what came together with the head
        self._connection = connection
        self._scope = scope
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
            Exception: as for `ConnectionPool.open`.
        """
        answer = self._answer
        while not answer.is_over:
            data, self._rest = self._rest or self._connection.receive(self._scope), b""
            if data := answer.feed(data):
                return data
        return b""

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._answer.is_over and self._answer.keeps:
            self._pool.give_back(self._connection)
        else:
            self._connection.close()
