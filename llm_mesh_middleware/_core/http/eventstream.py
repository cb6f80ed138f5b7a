"""Frames of `application/vnd.amazon.eventstream`.

    total length   u32     big endian, of the whole frame
    headers length u32
    CRC32          u32     of the eight bytes before it
    headers                each: name length u8, name, type u8, value
    payload
    CRC32          u32     of everything before it

A wrong checksum of the first twelve bytes means that the lengths are wrong, so nothing after it can
be found; a wrong one of the whole means that the frame was damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct, error
from zlib import crc32

import msgspec

__all__ = ["MEDIA_TYPE", "Frame", "FrameCutter", "FrameError"]

MEDIA_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = Struct("!III")
_CRC = Struct("!I")
_LENGTH = Struct("!H")
_LEAST = _PRELUDE.size + _CRC.size
_MAX_HEADERS = 128 * 2**10
_MAX_FRAME = 16 * 2**20 + _MAX_HEADERS + _LEAST
# Cached headers of frames of one stream: there are about ten kinds of events.
_MAX_KNOWN, _MAX_KNOWN_BYTES = 16, 512

_STRING = 7
# Bytes of a value by its type: true, false, byte, short, integer, long, timestamp, UUID.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_VARIABLE = frozenset((6, _STRING))  # bytes and strings, behind a length of two bytes


class FrameError(ValueError):
    """The bytes are not a frame."""


class Frame(msgspec.Struct, frozen=True):
    """One frame. `headers` are those that are strings; the others are skipped."""

    headers: Mapping[str, str]
    payload: bytes


class FrameCutter:
    """Cuts a stream of bytes into frames, however it arrives. Time is linear in the bytes.

    Frames that arrive whole are read where they are; only the rest of a read is kept.
    """

    __slots__ = ("_buffer", "_known", "_needed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = _PRELUDE.size  # bytes that must have arrived before the next step
        self._known: dict[bytes, dict[str, str]] = {}  # nearly all frames repeat a few headers

    @property
    def is_between(self) -> bool:
        """Whether no frame has begun."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes.

        Raises:
            FrameError: A checksum is wrong, or a length or a header impossible.
        """
        buffer = self._buffer
        if is_kept := bool(buffer):
            buffer += data
        source: bytes | bytearray = buffer if is_kept else data
        begin, available = 0, len(source)
        try:
            while available - begin >= self._needed:
                if self._needed == _PRELUDE.size:
                    self._needed = _total_length(source, begin)
                    continue
                end = begin + self._needed
                frame = self._frame(source, begin, end)
                begin, self._needed = end, _PRELUDE.size
                yield frame
        finally:
            if is_kept:
                del buffer[:begin]
            elif begin < available:
                buffer += data[begin:]

    def _frame(self, source: bytes | bytearray, begin: int, end: int) -> Frame:
        _, length, checksum = _PRELUDE.unpack_from(source, begin)
        at, last = begin + _PRELUDE.size, end - _CRC.size
        # The checksum of the lengths was right, so the checksum of the frame continues from it.
        with memoryview(source) as view:
            is_right = crc32(view[begin + 8 : last], checksum) == _CRC.unpack_from(source, last)[0]
        if not is_right:
            raise FrameError("a frame has a wrong checksum")
        encoded = bytes(source[at : at + length])
        headers = self._known.get(encoded)
        if headers is None:
            headers = _headers(encoded)
            if len(self._known) < _MAX_KNOWN and length <= _MAX_KNOWN_BYTES:
                self._known[encoded] = headers
        return Frame(headers, bytes(source[at + length : last]))


def _total_length(source: bytes | bytearray, begin: int) -> int:
    total, headers, checksum = _PRELUDE.unpack_from(source, begin)
    if crc32(source[begin : begin + 8]) != checksum:
        raise FrameError("a frame begins with a wrong checksum")
    if total > _MAX_FRAME or headers > _MAX_HEADERS or headers + _LEAST > total:
        raise FrameError("a frame has an impossible length")
    length: int = total
    return length


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, len(data)
    try:
        while at < end:
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            at = name_end + 1
            if kind in _VARIABLE:
                length: int = _LENGTH.unpack_from(data, at)[0]
                at += _LENGTH.size + length
                if kind == _STRING and at <= end:
                    found[name] = data[at - length : at].decode()
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, UnicodeDecodeError, error):
        at = end + 1
    if at != end:
        raise FrameError("a frame has headers that cannot be read")
    return found
