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
    """Decodes `gzip` or `deflate` piece by piece; one piece never becomes more than `max_bytes`."""

    __slots__ = ("_decoder", "_max_bytes")

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._decoder = zlib.decompressobj(_WINDOW[coding])
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes.

        Raises:
            DecodingError: they are corrupt, or their content is longer than `max_bytes`.
        """
        try:
            decoded = self._decoder.decompress(data, self._max_bytes)
        except zlib.error as exc:
            raise DecodingError("its compressed body is corrupt") from exc
        if self._decoder.unconsumed_tail:
            raise DecodingError(f"its compressed body is longer than {self._max_bytes} bytes")
        return decoded

    def finish(self) -> None:
        """Raise `DecodingError` unless the compressed data is complete."""
        if not self._decoder.eof:
            raise DecodingError("its compressed body is cut off")
