"""The few messages of Envoy's external processing that a picker needs.

    ProcessingRequest    2 request_headers: HttpHeaders    4 request_body: HttpBody
                         3 response_headers: HttpHeaders   8 metadata_context: Metadata
    HttpHeaders          1 headers: HeaderMap              3 end_of_stream
    HttpBody             1 body                            2 end_of_stream
    HeaderMap            1 headers: HeaderValue            1 key, 3 raw_value
    Metadata             1 filter_metadata, a map of names to Struct
    ProcessingResponse   1 request_headers, 3 request_body: 1 CommonResponse
                         7 immediate_response: 1 status: 1 code
                         8 dynamic_metadata: Struct
    CommonResponse       2 header_mutation: 1 set_headers: 1 HeaderValue
    Struct               1 fields, a map of names to Value: 3 string_value, 5 struct_value

An entry of a map is a message: 1 is its name, 2 its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .protobuf import field, fields, flag, inner

__all__ = ["read_response", "write_body", "write_headers", "write_served"]

_DESTINATION = b"x-gateway-destination-endpoint"
_SERVED = b"x-gateway-destination-endpoint-served"
_NAMESPACE = b"envoy.lb"
# Proxies send a body in pieces, and pickers have a limit on the size of a message.
_PIECE_BYTES = 60_000


def write_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the message for a request's head; a body follows."""
    return field(2, field(1, _header_map(headers)))


def write_body(body: bytes) -> Iterator[bytes]:
    """Yield the messages for a whole body."""
    for at in range(0, max(1, len(body)), _PIECE_BYTES):
        piece = field(1, body[at : at + _PIECE_BYTES])
        is_last = at + _PIECE_BYTES >= len(body)
        yield field(4, piece + flag(2) if is_last else piece)


def write_served(status: int, address: str) -> bytes:
    """Return the message for the response's head, with the server that sent it."""
    served = field(1, _SERVED) + field(2, field(3, address.encode()))
    metadata = field(1, field(1, _NAMESPACE) + field(2, field(1, served)))
    head = field(1, _header_map([(":status", str(status))])) + flag(3)
    return field(3, head) + field(8, metadata)


def read_response(data: bytes) -> tuple[str | None, int]:
    """Return the destinations that a message names, and the status of a refusal or 0.

    Raises:
        ValueError: it is not a message.
    """
    in_header = in_metadata = None
    for number, value in fields(data):
        if number == 7:
            return None, _status(value)
        if number in (1, 3):
            in_header = _destination(_set_headers(value)) or in_header
        elif number == 8:
            in_metadata = _destination(_metadata(value))
    # Both say the same; a proxy may choose which one it reads.
    found = in_header or in_metadata
    return None if found is None else found.decode("latin-1"), 0


def _header_map(headers: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(
        field(1, field(1, name.encode()) + field(3, value.encode("latin-1", "replace")))
        for name, value in headers
    )


def _status(immediate: bytes) -> int:
    for code in inner(immediate, 1, 1):
        return int.from_bytes(code, "big")
    return 503


def _destination(named: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    return next((text for name, text in named if name == _DESTINATION), None)


def _set_headers(response: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header fields that a response to a head or a body sets."""
    for header in inner(response, 1, 2, 1, 1):
        found = dict(fields(header))
        yield found.get(1, b"").lower(), found.get(3) or found.get(2, b"")


def _metadata(struct: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the texts in the namespace of load balancing."""
    for name, value in _entries(struct):
        if name == _NAMESPACE:
            for named in inner(value, 5):
                for key, text in _entries(named):
                    yield key, next(inner(text, 3), b"")


def _entries(struct: bytes) -> Iterator[tuple[bytes, bytes]]:
    for entry in inner(struct, 1):
        found = dict(fields(entry))
        yield found.get(1, b""), found.get(2, b"")
