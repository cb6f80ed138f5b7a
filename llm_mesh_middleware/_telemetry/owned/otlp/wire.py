"""Fields of protobuf, and attributes: `KeyValue {1: key, 2: AnyValue}`.

AnyValue   1 text   2 bool   3 int64   4 double   5 list {1: value}   6 map {1: KeyValue}   7 bytes

The attributes of spans repeat: most values of an attribute have been encoded before. Encoded values
are kept, for attributes with few values and for short values.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

__all__ = ["attributes", "double", "field", "fixed64", "tagged", "varint"]

logger = logging.getLogger("llm_mesh_middleware")

_double = Struct("<d").pack
_fixed64 = Struct("<Q").pack
_SHORT = 1 << 11  # most lengths and counts
_VARINTS = tuple(bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7]) for n in range(_SHORT))
_WORD = 1 << 64
_MIN_INT, _MAX_INT = -(1 << 63), (1 << 63) - 1

_MAX_KEYS = 512
_MAX_VALUES = 64
_MAX_KEPT = 64


def varint(number: int) -> bytes:
    """Return a number that is not negative."""
    if number < _SHORT:
        return _VARINTS[number]
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def tagged(number: int, data: bytes) -> bytes:
    """Return a field of bytes, a text or a message; also where it is empty."""
    return b"%c%b%b" % (number << 3 | 2, varint(len(data)), data)


def field(number: int, text: str | None) -> bytes:
    """Return a field with a text; nothing where it is empty."""
    return tagged(number, text.encode()) if text else b""


def fixed64(number: int, value: int | None) -> bytes:
    """Return a field with a time; nothing where it is zero."""
    return b"%c%b" % (number << 3 | 1, _fixed64(value)) if value else b""


def double(number: int, value: float) -> bytes:
    """Return a field with a number in floating point, also where it is zero."""
    return b"%c%b" % (number << 3 | 1, _double(value))


def _text(value: str) -> bytes:
    return tagged(1, value.encode())


def _bool(value: bool) -> bytes:
    return b"\x10\x01" if value else b"\x10\x00"


def _int(value: int) -> bytes:
    if not _MIN_INT <= value <= _MAX_INT:
        raise ValueError(f"an attribute has 64 bits, {value} has more")
    return b"\x18" + varint(value if value >= 0 else value + _WORD)


def _float(value: float) -> bytes:
    return b"\x21" + _double(value)


def _array(values: Iterable[Any]) -> bytes:
    return tagged(5, b"".join([tagged(1, _any(each)) for each in values]))


def _map(values: Mapping[Any, Any]) -> bytes:
    pairs = [tagged(1, _pair(str(key), each)) for key, each in values.items()]
    return tagged(6, b"".join(pairs))


_WRITERS: Mapping[type, Any] = {
    str: _text,
    bool: _bool,
    int: _int,
    float: _float,
    tuple: _array,
    list: _array,
    dict: _map,
    bytes: lambda value: tagged(7, value),
    type(None): lambda _: b"",
}
# Subclasses, in the order in which the SDK's exporter asks.
_KINDS = (
    (bool, _bool),
    (str, _text),
    (int, _int),
    (float, _float),
    (bytes, _WRITERS[bytes]),
    (Sequence, _array),
    (Mapping, _map),
)


def _any(value: Any) -> bytes:
    write = _WRITERS.get(type(value))
    if write is None:
        write = next((found for kind, found in _KINDS if isinstance(value, kind)), None)
        if write is None:
            raise TypeError(f"an attribute cannot be a {type(value).__qualname__}")
    made: bytes = write(value)
    return made


def _pair(key: str, value: Any) -> bytes:
    return tagged(1, key.encode()) + tagged(2, _any(value))


class _Key:
    """One attribute name at one field number, and its encoded values.

    A value follows a `head` with the lengths of all that it is in, so there are few heads.
    """

    __slots__ = ("_int_heads", "_name", "_number", "_text_heads", "float_head", "kept")

    def __init__(self, number: int, key: str) -> None:
        self._number = number
        self._name = tagged(1, key.encode())
        self.float_head = self._head(b"\x21", 8)
        self._text_heads: dict[int, bytes] = {}
        self._int_heads: dict[int, bytes] = {}
        self.kept: dict[str | int, bytes] = {}

    def _head(self, begin: bytes, size: int) -> bytes:
        """Return all that precedes the last `size` bytes of an attribute; its value has `begin`."""
        value = b"\x12" + varint(len(begin) + size) + begin
        length = varint(len(self._name) + len(value) + size)
        return b"%c%b%b%b" % (self._number << 3 | 2, length, self._name, value)

    def write(self, value: Any) -> bytes:
        """Return the encoded attribute, and keep it if it may recur."""
        kind = type(value)
        if kind is str:
            data = value.encode()
            head = self._text_heads.get(size := len(data))
            if head is None:
                head = self._head(b"\x0a" + varint(size), size)
                if size <= _MAX_KEPT:
                    self._text_heads[size] = head
            made: bytes = head + data
            if size <= _MAX_KEPT and len(self.kept) < _MAX_VALUES:
                self.kept[value] = made
            return made
        data = _any(value)
        if kind is not int:
            return self._head(b"", len(data)) + data
        head = self._int_heads.get(len(data))
        if head is None:
            head = self._int_heads[len(data)] = self._head(b"", len(data))
        made = head + data
        if len(self.kept) < _MAX_VALUES:
            self.kept[value] = made
        return made


_keys: dict[int, dict[str, _Key]] = defaultdict(dict)


def attributes(number: int, values: Mapping[str, Any] | None) -> bytes:
    """Return attributes as fields of this number; those that cannot be encoded are skipped."""
    if not values:
        return b""
    found, keys = [], _keys[number]
    for name, value in values.items():
        try:
            key = keys.get(name) or _entered(number, name)
            kind = type(value)
            if kind is float:
                found.append(key.float_head + _double(value))
            elif kind is str or kind is int:  # not of a subclass: True is 1
                found.append(key.kept.get(value) or key.write(value))
            else:
                found.append(key.write(value))
        except (ValueError, TypeError, AttributeError):  # a lone surrogate, a number too large
            logger.warning("the attribute %r of a span or metric cannot be exported", name)
    return b"".join(found)


def _entered(number: int, name: str) -> _Key:
    made = _Key(number, name)
    if len(_keys[number]) < _MAX_KEYS:
        _keys[number][name] = made
    return made
