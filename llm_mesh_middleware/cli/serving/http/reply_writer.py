"""The bytes of one reply (RFC 9112 6.3).

has content-length    that many bytes
HTTP/1.1, no length   chunked
HTTP/1.0, no length   up to the end of the connection
HEAD, 204, 304        no body
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from typing import Protocol

from ...._core.http.request_head import has_breaks
from ...._core.private import PerCall

__all__ = ["ReplyWriter", "Sink"]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_LINES = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}".encode() for status in range(200, 600)
}
_BODILESS = frozenset((204, 304))


class Sink(Protocol):
    """The connection that takes a reply."""

    def send(self, data: bytes) -> None:
        """Send bytes; does nothing when the client has left."""

    def drained(self) -> Awaitable[None] | None:
        """Return an awaitable for when the client has read; None if there is room for more."""

    def dated(self) -> bytes:
        """Return the header lines of every reply, each after a line break."""

    def replied(self) -> None:
        """Note that the reply is complete."""


class ReplyWriter(PerCall):
    """Writes the reply to one request; `keeps_alive`: the connection stays open after it.

    It has no body for a HEAD request, and is not chunked for one of HTTP/1.0, which `is_old`.
    """

    _sink: Sink
    _has_body: bool
    _is_old: bool
    keeps_alive: bool
    _is_chunked: bool = False
    has_started: bool = False
    is_over: bool = False

    def whole(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Write a reply in one piece; its fields have its length."""
        data = self._head(status, headers)
        if body and self._has_body:
            data += self._framed(body) if self._is_chunked else body
        sink = self._sink
        sink.send(data)
        self.is_over = True
        sink.replied()

    def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Write a head."""
        self._sink.send(self._head(status, headers))

    def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        if data and self._has_body:
            self._sink.send(self._framed(data))

    def end(self, data: bytes = b"") -> None:
        """Write the last piece of the body."""
        self.write(data)
        if self._is_chunked:
            self._sink.send(b"0\r\n\r\n")
        self.is_over = True
        self._sink.replied()

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        lines = [b"", *map(b": ".join, headers)]
        if has_breaks(lines):
            raise ValueError("a header field of a reply has a line break or a NUL")
        lines.append(b"\r\n")
        # After a line break, which no field has, is a name: a search takes less than a dict.
        fields, framing = b"\r\n".join(lines), b""
        if fields.find(b"\r\nconnection: ") >= 0:
            closes = (b"connection", b"close") in headers
            self.keeps_alive = self.keeps_alive and not closes
        elif not self.keeps_alive:
            framing = b"\r\nconnection: close"
        if status in _BODILESS:
            self._has_body = False
        if self._has_body and fields.find(b"\r\ncontent-length: ") < 0:
            self.keeps_alive = self.keeps_alive and not self._is_old
            self._is_chunked = not self._is_old
            framing += b"\r\ntransfer-encoding: chunked" if self._is_chunked else b""
        self.has_started = True
        return b"".join((_LINES[status], self._sink.dated(), framing, fields))
