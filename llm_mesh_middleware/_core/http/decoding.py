"""Decompresses responses that are compressed although `identity` was requested."""

from __future__ import annotations

import zlib
from typing import Protocol

__all__ = ["DECODABLE", "BodyDecoder", "DecodingError", "StreamDecoder"]

# zlib's window argument for each content coding (RFC 9110 8.4.1); 16 more means a gzip header.
_WINDOW = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
DECODABLE = frozenset(_WINDOW)

# zlib copies its unread input whenever a member ends, so many short members in one long piece would
# take quadratic time.
_SLICE = 4096

# A member costs as much CPU as 10 KB of content, even if it is empty. The first ones are free;
# further ones need some content on average, as when each event of a stream is a member.
_FREE_MEMBERS = 1024
_MIN_CONTENT = 128


class DecodingError(ValueError):
    """The bytes are broken, or grow beyond the limit; `decoded` is what precedes the fault."""

    def __init__(self, message: str, decoded: bytes = b"") -> None:
        super().__init__(message)
        self.decoded = decoded


class StreamDecoder(Protocol):
    """Turns the bytes of a stream into server-sent events, piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes.

        Raises:
            DecodingError: They cannot be decoded.
        """


class BodyDecoder:
    """Decodes `gzip` or `deflate` piece by piece, each to at most `max_bytes`.

    Gzip may have several members (RFC 1952 2.2). Deflate may lack the header that RFC 9110 8.4.1.2
    requires, as many servers omit it. Time is linear in the sizes of input and output.
    """

    __slots__ = ("_decoder", "_max_bytes", "_members", "_size", "_window")

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._window = _WINDOW[coding]
        self._decoder: zlib._Decompress | None = None
        self._max_bytes = max_bytes
        self._members = 0
        self._size = 0  # of everything decoded

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes.

        Raises:
            DecodingError: they are corrupt, have too many members, or exceed `max_bytes`.
        """
        decoded = bytearray()
        for begin in range(0, len(data), _SLICE):
            self._decode(data[begin : begin + _SLICE], decoded)
        self._size += len(decoded)
        return bytes(decoded)

    def _decode(self, data: bytes, decoded: bytearray) -> None:
        while data:
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._start(data, self._size + len(decoded))
            try:
                decoded += self._decoder.decompress(data, self._max_bytes - len(decoded) + 1)
            except zlib.error as exc:
                raise DecodingError("its compressed body is corrupt") from exc
            if len(decoded) > self._max_bytes:
                raise DecodingError(f"its compressed body is longer than {self._max_bytes} bytes")
            data = self._decoder.unused_data

    def finish(self) -> None:
        """Raise `DecodingError` unless the compressed data is complete."""
        if self._decoder is not None and not self._decoder.eof:
            raise DecodingError("its compressed body is cut off")

    def _start(self, data: bytes, size: int) -> zlib._Decompress:
        """Return a decoder for the member that begins with `data` after `size` bytes."""
        self._members += 1
        if self._members > _FREE_MEMBERS + size // _MIN_CONTENT:
            raise DecodingError("its compressed body has too many members")
        has_header = self._window != zlib.MAX_WBITS or data[0] & 0x0F == zlib.DEFLATED
        return zlib.decompressobj(self._window if has_header else -zlib.MAX_WBITS)
