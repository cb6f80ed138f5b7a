"""Decompressing an answer that came compressed although `identity` was asked for."""

from __future__ import annotations

import zlib

__all__ = ["DECODABLE", "BodyDecoder", "DecodingError"]

# zlib's window argument for each content coding (RFC 9110 8.4.1); 16 more means a gzip header.
_WINDOW = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
DECODABLE = frozenset(_WINDOW)


class DecodingError(ValueError):
    """The compressed bytes are broken, or grow beyond the limit."""


class BodyDecoder:
    """Decodes `gzip` or `deflate` piece by piece; one piece never becomes more than `max_bytes`.

    Gzip may come in several members (RFC 1952 2.2), deflate also without the header that
    RFC 9110 8.4.1.2 wants: many servers leave it out.
    """

    __slots__ = ("_decoder", "_max_bytes", "_window")

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._window = _WINDOW[coding]
        self._decoder: zlib._Decompress | None = None
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes.

        Raises:
            DecodingError: they are corrupt, or their content is longer than `max_bytes`.
        """
        decoded = b""
        while data:
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._start(data)
            try:
                decoded += self._decoder.decompress(data, self._max_bytes - len(decoded) + 1)
            except zlib.error as exc:
                raise DecodingError("its compressed body is corrupt") from exc
            if len(decoded) > self._max_bytes:
                raise DecodingError(f"its compressed body is longer than {self._max_bytes} bytes")
            data = self._decoder.unused_data
        return decoded

    def finish(self) -> None:
        """Raise `DecodingError` unless the compressed data is complete."""
        if self._decoder is not None and not self._decoder.eof:
            raise DecodingError("its compressed body is cut off")

    def _start(self, data: bytes) -> zlib._Decompress:
        """A decoder for what begins with `data`."""
        has_header = self._window != zlib.MAX_WBITS or data[0] & 0x0F == zlib.DEFLATED
        return zlib.decompressobj(self._window if has_header else -zlib.MAX_WBITS)
