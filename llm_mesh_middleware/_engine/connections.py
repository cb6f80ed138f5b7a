"""The synchronous connections to one endpoint, kept while they are idle.

httpcore's own pool looks at every connection for every request, twice. Here a call takes the
connection that was used last and brings it back; one lock-free queue is all that threads share.
"""

from __future__ import annotations

import math
import ssl
import time
from collections import deque
from collections.abc import Iterator

import httpcore

from .line import LineBackend

__all__ = ["BodyStream", "Connections"]

_KEEPALIVE_S = 5.0


class Connections:
    """Connections to `origin`; each carries one call at a time."""

    def __init__(self, origin: httpcore.Origin, context: ssl.SSLContext | None) -> None:
        self._origin = origin
        self._context = context
        self._backend = LineBackend(httpcore.SyncBackend())
        # The latest last, each with the time when it is too old.
        self._idle: deque[tuple[httpcore.HTTPConnection, float]] = deque()
        self._is_closed = False

    def open(self, request: httpcore.Request) -> tuple[httpcore.Response, BodyStream]:
        """Send `request`; the stream must be closed on every path.

        Raises:
            Exception: what httpcore raises.
        """
        connection = self._take()
        try:
            response = connection.handle_request(request)
        except BaseException:
            connection.close()
            raise
        return response, BodyStream(response, connection, self)

    def give_back(self, connection: httpcore.HTTPConnection) -> None:
        """Keep a connection whose call is over, if it can be used again."""
        if self._is_closed or not connection.is_idle():
            connection.close()
            return
        now = time.monotonic()
        self._idle.append((connection, now + _KEEPALIVE_S))
        if self._is_closed or self._oldest_until() < now:  # one too many is closed at a time
            self._drop_oldest()

    def close(self) -> None:
        """Close what is idle now, and what is in use when its call is over."""
        self._is_closed = True
        while self._idle:
            self._drop_oldest()

    def _take(self) -> httpcore.HTTPConnection:
        while self._idle:
            try:
                connection, too_old_at = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if time.monotonic() < too_old_at and not connection.has_expired():
                return connection
            connection.close()
        return httpcore.HTTPConnection(
            self._origin,
            ssl_context=self._context,
            network_backend=self._backend,  # type: ignore[arg-type]  # it is one by its methods
        )

    def _oldest_until(self) -> float:
        try:
            return self._idle[0][1]
        except IndexError:  # another thread has taken the very one that was given back
            return math.inf

    def _drop_oldest(self) -> None:
        try:
            connection, _ = self._idle.popleft()
        except IndexError:  # another thread was quicker
            return
        connection.close()


class BodyStream:
    """The body of an answer, and the way of its connection back."""

    __slots__ = ("_connection", "_connections", "_stream")

    def __init__(
        self,
        response: httpcore.Response,
        connection: httpcore.HTTPConnection,
        connections: Connections,
    ) -> None:
        self._stream = response.stream
        self._connection: httpcore.HTTPConnection | None = connection
        self._connections = connections

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)  # type: ignore[arg-type]  # synchronous, as the request was

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._stream.close()  # type: ignore[union-attr]  # as above
            self._connections.give_back(connection)
