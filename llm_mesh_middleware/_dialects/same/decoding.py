"""Decompresses responses that a provider has compressed although `identity` was requested."""

from __future__ import annotations

from ..._core.http.decoding import DECODABLE, BodyDecoder, DecodingError
from ...exceptions import UpstreamProtocolError

__all__ = ["decoded_body", "stream_decoder"]

# The most bytes that one piece of a compressed stream may decompress to.
_MAX_DECODED_PIECE = 16 * 2**20


def stream_decoder(host: str, coding: str) -> BodyDecoder:
    """Return a decoder for a compressed stream.

    Raises:
        UpstreamProtocolError: The coding is not supported.
    """
    if coding not in DECODABLE:
        raise UpstreamProtocolError(f"{host} sent a stream in a coding that was not asked for")
    return BodyDecoder(coding, _MAX_DECODED_PIECE)


def decoded_body(host: str, coding: str, body: bytes, max_bytes: int) -> bytes:
    """Return a whole body decompressed; `coding` is one of `DECODABLE`.

    Raises:
        UpstreamProtocolError: It is corrupt, or becomes longer than `max_bytes`.
    """
    decoder = BodyDecoder(coding, max_bytes)
    try:
        decoded = decoder.feed(body)
        decoder.finish()
    except DecodingError as exc:
        raise UpstreamProtocolError(f"{host} cannot be read: {exc}") from exc
    return decoded
