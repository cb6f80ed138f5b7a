"""The part of protobuf's wire format that pickers' messages use: numbers and length-prefixed bytes.

A field is a tag (its number and its type) and a value. Generated code would need the whole of
Envoy's API and a library.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["field", "fields", "flag", "inner"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


def field(number: int, value: bytes) -> bytes:
    """Return a field that holds text, bytes or a message."""
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def flag(number: int) -> bytes:
    """Return a boolean field that is true."""
    return _varint(number << 3) + b"\x01"


def inner(data: bytes, *path: int) -> Iterator[bytes]:
    """Yield the messages at a path of field numbers."""
    first, *rest = path
    for number, value in fields(data):
        if number == first:
            yield from inner(value, *rest) if rest else (value,)


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and value of each field; a varint as eight bytes.

    Raises:
        ValueError: the bytes are not a message.
    """
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _read_varint(data, at)
            yield tag >> 3, number.to_bytes(8, "big")
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError("a field of an unknown type")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield tag >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number is cut off")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
