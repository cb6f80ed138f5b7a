"""Cache entries: the parts of a response that are stored."""

from __future__ import annotations

import zlib

import msgspec

__all__ = ["Entry", "Found", "Lookup", "Save", "pack", "unpack"]

# The first byte of an entry; entries of other versions are ignored.
_PLAIN, _PACKED = b"\x05", b"\x06"
_WORTH_PACKING = 2048
_MAX_BYTES = 64 * 2**20


class Entry(msgspec.Struct, frozen=True):
    """A whole response in its JSON form, or a stream where its dialect has no other form.

    `tokens` are those of the original call, `dialect` is that of the client which made it.
    """

    body: bytes
    is_stream: bool = False
    tokens: int = 0
    dialect: str = ""


class Lookup(msgspec.Struct, frozen=True):
    """Return the entry of a key: `Found`, or None."""

    key: str


class Save(msgspec.Struct, frozen=True):
    """Store packed data for `ttl_s`."""

    key: str
    data: bytes
    ttl_s: float


class Found(msgspec.Struct, frozen=True):
    """Packed data, and its age."""

    data: bytes
    age_s: float


def pack(entry: Entry) -> bytes:
    """Return an entry as bytes, compressed if it is large."""
    data = msgspec.msgpack.encode(entry)
    if len(data) < _WORTH_PACKING:
        return _PLAIN + data
    return _PACKED + zlib.compress(data, 1)


# Made at import: msgspec crashes if several threads make decoders of one type at the same time.
_decode = msgspec.msgpack.Decoder(Entry).decode


def unpack(data: bytes) -> Entry | None:
    """Return the entry, None if it is not one of this version."""
    kind, rest = data[:1], data[1:]
    try:
        if kind == _PACKED:
            unpacker = zlib.decompressobj()
            rest = unpacker.decompress(rest, _MAX_BYTES)
            if unpacker.unconsumed_tail:
                return None
        elif kind != _PLAIN:
            return None
        return _decode(rest)
    except (zlib.error, msgspec.MsgspecError):
        return None
