"""Decompresses what a provider has compressed although it was not asked to."""

from __future__ import annotations

from ..._core.http.decoding import DECODABLE, BodyDecoder, DecodingError
from ...exceptions import UpstreamProtocolError

__all__ = ["decoded_body", "stream_decoder"]

# What one piece of a compressed stream may become.
_MAX_DECODED_PIECE = 16 * 2**20


def stream_decoder(host: str, coding: str) -> BodyDecoder:
    """Return what decompresses a stream.

    Raises:
        UpstreamProtocolError: The coding is unknown here.
    """
    if coding not in DECODABLE:
        raise UpstreamProtocolError(f"{host} sent a stream in a coding that was not asked for")
    return BodyDecoder(coding, _MAX_DECODED_PIECE)


def decoded_body(host: str, coding: str, body: bytes, max_bytes: int) -> bytes:
    """Return a whole body decompressed; `coding` is one of those that are known.

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
