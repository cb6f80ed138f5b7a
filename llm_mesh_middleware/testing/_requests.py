"""The requests that a fake upstream received, and their parser."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 1 << 20
_MAX_BODY_BYTES = 1 << 28
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r\n")


class BadRequest(ValueError):
    """The bytes are not one clear HTTP/1 request; the reply is 400, and the connection closes."""


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """One request as received: with the spelling, order and repetition of the client's headers.

    Times are `time.monotonic()` seconds. `number` counts the requests of the upstream and
    `connection` its connections, both from 1. `server_name` is the name asked for in the TLS
    handshake.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    version: str = "HTTP/1.1"
    number: int = 0
    connection: int = 0
    server_name: str | None = None
    received_at: float = field(default_factory=time.monotonic)
    sent_bytes: int = 0
    """Bytes of the answer given to the socket so far."""
    answered_at: float | None = None
    """When the last byte of a complete answer was given to the socket."""
    disconnected_at: float | None = None
    """When the client closed or half-closed its connection before the answer was complete."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def __repr__(self) -> str:
        # Neither headers nor body: a failing test must not print a key.
        return f"<RecordedRequest {self.number}: {self.method} {self.target}>"

    @property
    def path(self) -> str:
        """The target without scheme, host and query."""
        return urlsplit(self.target).path

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection be used again."""
        options = (self.header("connection") or "").lower()
        return self.version == "HTTP/1.1" and "close" not in re.split(r"[\s,]+", options)

    def header(self, name: str) -> str | None:
        """Return a header, its name in any case; joined by `, ` if sent twice, None if not sent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)

    def wait_disconnected(self, timeout: float = 10.0) -> bool:
        """Block until the client leaves or the answer ends; say whether the client left first."""
        self._ended.wait(timeout)
        return self.disconnected_at is not None

    def wait_answered(self, timeout: float = 10.0) -> bool:
        """Block until the answer ends or the client leaves; say whether all of it was sent."""
        self._ended.wait(timeout)
        return self.answered_at is not None

    def end(
        self, *, answered_at: float | None = None, disconnected_at: float | None = None
    ) -> None:
        """Set how the request ended; called by the upstream."""
        self.answered_at, self.disconnected_at = answered_at, disconnected_at
        self._ended.set()


async def read_request(
    reader: asyncio.StreamReader, say: Callable[[bytes], None]
) -> RecordedRequest | None:
    """Read one request; None if the client leaves before it is complete."""
    try:
        request = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        if (request.header("expect") or "").lower() == "100-continue":
            say(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = await _read_body(reader, request)
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest(f"a header or chunk line is over {MAX_HEAD_BYTES} bytes") from error
    request.received_at = time.monotonic()
    return request


def _parse_head(head: bytes) -> RecordedRequest:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    match first.split(" "):
        case [method, target, ("HTTP/1.0" | "HTTP/1.1") as version] if method and target:
            pass
        case _:
            raise BadRequest(f"not a request line: {first[:80]!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or re.search(r"\s", name):
            raise BadRequest(f"not a header: {name[:80]!r}")
        headers.append((name, value.strip(" \t")))
    return RecordedRequest(method, target, headers, b"", version=version)


async def _read_body(reader: asyncio.StreamReader, request: RecordedRequest) -> bytes:
    coding, length = request.header("transfer-encoding"), request.header("content-length")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise BadRequest(f"transfer-encoding {coding!r} with content-length {length!r}")
        return await _read_chunked(reader)
    if length is None:
        return b""
    if not (length.isascii() and length.isdigit()) or int(length) > _MAX_BODY_BYTES:
        raise BadRequest(f"content-length {length[:80]!r}")
    return await reader.readexactly(int(length))


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None or len(body) + int(size[1], 16) > _MAX_BODY_BYTES:
            raise BadRequest(f"chunk size {line[:80]!r}")
        if not int(size[1], 16):
            break
        chunk = await reader.readexactly(int(size[1], 16) + 2)
        if not chunk.endswith(b"\r\n"):
            raise BadRequest("a chunk is longer than its size")
        body += chunk[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return bytes(body)
