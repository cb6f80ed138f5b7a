"""Read requests from WSGI environs (PEP 3333), with the differences between servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .._core.routing.table import VirtualHost
from ..exceptions import MalformedRequest, RequestTimeout
from ..inbound import Addressed, ClientRequest, Headers, address, split_target, too_large

__all__ = [
    "BodyReader",
    "Environ",
    "address_environ",
    "raw_target",
    "read_body",
    "read_headers",
    "request_of",
]

Environ = Mapping[str, Any]

# Servers wait until a piece is complete. If no piece is longer than all before it together, a slow
# one takes about as long as they did, which bounds how far the timeout is exceeded.
_FIRST_PIECE_BYTES, _PIECE_BYTES = 16, 64 * 1024
_WITHOUT_PREFIX = (("CONTENT_TYPE", b"content-type"), ("CONTENT_LENGTH", b"content-length"))


def address_environ(
    find: Callable[[bytes], VirtualHost | None], environ: Environ
) -> Addressed | None:
    """Find the virtual host that an environ addresses, or None.

    Some servers put an absolute target in `PATH_INFO`, others only its path, with the target in
    `RAW_URI` or `REQUEST_URI`; two Host fields are joined by a comma.
    """
    method = environ["REQUEST_METHOD"]
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    authority, path = split_target(method, path)
    raw = raw_target(environ)
    if authority is None and raw[:1] not in ("", "/"):
        authority, _ = split_target(method, raw)
    joined = environ.get("HTTP_HOST", "").encode("latin-1")
    hosts = [host.strip() for host in joined.split(b",") if host]
    return address(find, hosts, authority, path or "/")


def request_of(addressed: Addressed, environ: Environ) -> ClientRequest:
    """Return what is known of a request before its body is read."""
    return ClientRequest(
        environ["REQUEST_METHOD"],
        addressed.path,
        read_headers(environ),
        peer=environ.get("REMOTE_ADDR") or None,
        http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        scheme=environ.get("wsgi.url_scheme", "http"),
        is_inbound=True,
        native=environ,
        query=environ.get("QUERY_STRING", ""),
    )


class BodyReader:
    """The port for the body of an environ."""

    __slots__ = ("_environ", "_limit_s")

    def __init__(self, environ: Environ, limit_s: float) -> None:
        self._environ = environ
        self._limit_s = limit_s

    def ask(self, request: Any, until: float | None) -> bytes:
        """Return the body, of at most `request` bytes."""
        return read_body(self._environ, request, self._limit_s)


def raw_target(environ: Environ) -> str:
    """Return the request target as sent, if the server provides it."""
    target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    return target


def read_headers(environ: Environ) -> Headers:
    """Return the header fields of the request.

    The server has already joined repeated fields, by a comma and perhaps a space.
    """
    names = _FIELD_NAMES
    fields = [
        (names[name], value.encode("latin-1"))
        for name, value in environ.items()
        if name[:5] == "HTTP_"
    ]
    for key, name in _WITHOUT_PREFIX:
        if value := environ.get(key):
            fields.append((name, value.encode("latin-1")))
    return Headers(fields)


class _FieldNames(dict[str, bytes]):
    """The field of a member of an environ. Clients choose some: at most 1,024 of 64 are kept."""

    def __missing__(self, name: str) -> bytes:
        found = name[5:].replace("_", "-").lower().encode("latin-1")
        if len(name) <= 64:
            if len(self) >= 1024:
                self.clear()
            self[name] = found
        return found


_FIELD_NAMES = _FieldNames()


def read_body(environ: Environ, max_bytes: int, limit_s: float) -> bytes:
    """Return the whole body; `limit_s` is checked between reads.

    The server, which has the socket, must time out a client that stops sending.

    Raises:
        MalformedRequest: it ended before its length, or broke off.
        RequestTimeout: it did not arrive in time.
        RequestTooLarge: it is longer than `max_bytes`.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        left = int(length)  # a number within the limit, as was checked before
    elif environ.get("wsgi.input_terminated"):
        left = max_bytes + 1
    else:  # without either, the end of a body cannot be known
        return b""
    until = time.monotonic() + limit_s
    read, chunks, size = environ["wsgi.input"].read, [], _FIRST_PIECE_BYTES
    while left and (chunk := _read(read, min(left, size))):
        chunks.append(chunk)
        left -= len(chunk)
        size = min(2 * size, _PIECE_BYTES)
        if time.monotonic() >= until:
            raise RequestTimeout("the body did not arrive in time", headers={"connection": "close"})
    if length and left:
        raise MalformedRequest("the body is shorter than its Content-Length")
    if not length and not left:
        raise too_large(max_bytes)
    return b"".join(chunks)


def _read(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except OSError as exc:
        raise MalformedRequest("the body broke off", headers={"connection": "close"}) from exc
