"""One client connection of `llm-mesh serve`: uvicorn's HTTP/1.1 protocol, with limits on heads.

uvicorn on httptools takes a request head of any size for any time. Here each byte until the end of
a head is counted before it is parsed:

    state       ends with              limits
    in a head   the empty line         64 KiB (431), 10 s (408; silence if nothing was sent)
    in a body   the end of the body    those of the mesh, by `LLM_MESH_MAX_REQUEST_BYTES`
    refused     1 s, or the client     what still arrives is dropped
    idle        the next byte          uvicorn's, 5 s

A connection on which 16 requests wait is closed at the next. One above `--limit-connections` is
answered 503 and closed before anything of it is parsed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..._core.values.messages import error_object
from ..._mesh.seldom import Seldom

__all__ = ["SidecarProtocol"]

logger = logging.getLogger("llm_mesh_middleware")

# Requests that wait on one connection for the reply to the first.
_MAX_PIPELINED = 16
# A close with unread bytes resets the connection, and the client would not see why.
_LINGER_S = 1.0


def _refusal(status: HTTPStatus, message: str, code: str, type: str) -> bytes:
    body = error_object(message, type=type, code=code)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_INVALID = "invalid_request_error"
_TOO_LARGE = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request line and the header fields are longer than 64 KiB",
    "request_head_too_large",
    _INVALID,
)
_TOO_SLOW = _refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "the request line and the header fields did not arrive in time",
    "request_timeout",
    _INVALID,
)
_BUSY = _refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "the mesh has as many connections as it may have; try again later",
    "too_many_connections",
    "server_error",
)


class _TooManyRequests(Exception):
    """Ends the parser's work on what is left of its input."""


class SidecarProtocol(HttpToolsProtocol):
    """One connection.

    The app sees an absolute or authority-form target whole: the parser keeps the path only, and a
    proxy must go by the target, not by the Host field (RFC 9112 3.2.2).
    """

    max_head_bytes = 64 * 1024
    head_timeout_s = 10.0

    _in_head = True
    _head_bytes = 0
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _warnings = Seldom()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it if there are enough.

        The sockets that uvicorn shares among workers lack `TCP_NODELAY`, which would hold replies
        back for 40 ms.
        """
        # uvicorn's own check would refuse requests at its limit, connections stay below it.
        if self.limit_concurrency and len(self.connections) >= self.limit_concurrency - 1:
            self.transport = transport
            self._is_refused = True
            if self._warnings.allows("connections", self.loop.time()):
                logger.warning("refused a connection: there are %d already", len(self.connections))
            transport.write(_BUSY)
            transport.close()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, a head no further than its limit."""
        while self._in_head and data and not self._is_refused:
            left = self.max_head_bytes - self._head_bytes
            if left <= 0:
                self._refuse(_TOO_LARGE)
                return
            piece, data = data[:left], data[left:]
            self._head_bytes += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():  # the parser could not read it
                return
        if data and not self._is_refused:
            super().data_received(data)
        if self._in_head and self._head_bytes and self._head_timer is None:
            self._time_head()

    def on_headers_complete(self) -> None:
        """Let the app start, then give it the target as the client wrote it.

        The request's task was created but has not run yet: its scope may still be completed.
        """
        self._in_head = False
        self._end_head()
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._is_refused = True
            self.transport.close()
            raise _TooManyRequests
        target = self.url
        if self.parser.get_method() == b"CONNECT":
            self.url = b"/"  # an authority is no URL to the parser, which would end the connection
        super().on_headers_complete()
        if not target.startswith((b"/", b"*")):
            self.scope["path"] = target.partition(b"?")[0].decode("latin-1")

    def on_message_complete(self) -> None:
        """Expect the next head."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Say that the parser has failed, unless that was our own doing."""
        if not self._is_refused:
            super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: no WebSocket library is missing here, there is nothing to upgrade to."""

    def _time_head(self) -> None:
        if not self._is_refused:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self._in_head:
            return
        if self._head_bytes:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        """Answer instead of the app, and close once the client has had time to read it."""
        self._end_head()
        self._is_refused = True
        transport = self.transport
        if self.cycle is not None and not self.cycle.response_complete:
            transport.close()  # a reply to the request before this one is under way
            return
        transport.write(answer)
        if transport.can_write_eof():
            transport.write_eof()
        self.loop.call_later(_LINGER_S, transport.close)
