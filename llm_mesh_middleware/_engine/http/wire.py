"""The socket of one synchronous connection; each wait is limited by the line of its call."""

from __future__ import annotations

import ssl

import httpcore

from ..._core.values.endpoint import Endpoint
from ..tasks.cancel_scope import MAX_JOINED_BYTES, Line

__all__ = ["Wire"]

_BACKEND = httpcore.SyncBackend()
_READ_BYTES = 64 * 1024


class Wire:
    """A connection to `endpoint`: httpcore opens and closes it, the socket is used directly.

    It outlives the call that opened it and serves others.
    """

    __slots__ = ("_socket", "_stream")

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, line: Line) -> None:
        """Connect.

        Raises:
            httpcore.ConnectError: nobody answers, or its certificate is not the right one.
            httpcore.ConnectTimeout: nobody does in time.
        """
        line.is_fresh = True
        seconds = line.left_s(connecting=True)
        stream = _BACKEND.connect_tcp(endpoint.address, endpoint.port, timeout=seconds)
        if context is not None:
            line.uses(stream)
            name = endpoint.server_name or endpoint.address
            stream = stream.start_tls(context, name, timeout=line.left_s(connecting=True))
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        if context is not None:
            # Else a reset would pass for the end of a body that only the connection's end delimits.
            self._socket.suppress_ragged_eofs = False

    def send(self, head: bytes, body: bytes, line: Line) -> bool:
        """Send a request; whether all of it could be sent.

        A server that closes early may have said why before, so a failure is no error yet.

        Raises:
            TimeoutError: it took too long.
        """
        line.uses(self._stream)  # from now on it is this call's
        try:
            if len(body) <= MAX_JOINED_BYTES:
                self._send(head + body, line)
            else:
                self._send(head, line)
                self._send(body, line)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def receive(self, line: Line) -> bytes:
        """The bytes that have come; empty at the end.

        Raises:
            httpcore.ReadError: the connection is broken.
            TimeoutError: none came in time.
        """
        self._socket.settimeout(line.left_s())
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

    def _send(self, data: bytes, line: Line) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(line.left_s())
            view = view[self._socket.send(view) :]
