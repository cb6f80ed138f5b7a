"""The few messages of Envoy's external processing that a picker needs, in protobuf's wire form.

A generated module would bring the whole of Envoy's API with it. A field is a number with a wire
type; what is asked and said here has two of these: a number, and bytes with a length.

    ProcessingRequest    2 request_headers: HttpHeaders    4 request_body: HttpBody
    HttpHeaders          1 headers: HeaderMap              3 end_of_stream
    HttpBody             1 body                            2 end_of_stream
    HeaderMap            1 headers: HeaderValue            1 key, 3 raw_value
    ProcessingResponse   1 request_headers, 3 request_body: 1 CommonResponse
                         7 immediate_response: 1 status: 1 code
    CommonResponse       2 header_mutation: 1 set_headers: 1 HeaderValue
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["read_response", "write_body", "write_headers"]

_DESTINATION = b"x-gateway-destination-endpoint"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


def write_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the request that tells of a head; a body follows."""
    values = b"".join(
        _field(1, _field(1, name.encode()) + _field(3, value.encode("latin-1", "replace")))
        for name, value in headers
    )
    return _field(2, _field(1, values))


def write_body(body: bytes) -> bytes:
    """Return the request that has a whole body."""
    return _field(4, _field(1, body) + _varint(2 << 3) + b"\x01")


def read_response(data: bytes) -> tuple[str | None, int]:
    """Return the destinations that a response sets, and the status of a refusal or 0.

    Raises:
        ValueError: it is no message.
    """
    destinations = None
    for number, value in _fields(data):
        if number == 7:
            return None, _status(value)
        if number in (1, 3):
            for name, text in _set_headers(value):
                if name == _DESTINATION:
                    destinations = text.decode("latin-1")
    return destinations, 0


def _status(immediate: bytes) -> int:
    for number, status in _fields(immediate):
        if number == 1:
            for inner, code in _fields(status):
                if inner == 1:
                    return int.from_bytes(code, "big")
    return 503


def _set_headers(response: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header fields that a response to a head or a body sets."""
    for mutation in _inner(response, 1, 2):
        for header in _inner(mutation, 1, 1):
            found = dict(_fields(header))
            yield found.get(1, b"").lower(), found.get(3) or found.get(2, b"")


def _inner(data: bytes, *path: int) -> Iterator[bytes]:
    """Yield the messages at a path of field numbers."""
    first, *rest = path
    for number, value in _fields(data):
        if number == first:
            yield from _inner(value, *rest) if rest else (value,)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each field of a message; a number as the bytes of it."""
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


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
