"""Responses of HTTP/1.1, good ones by name, and how a call reads their bytes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_mesh_middleware._engine.http.http1 import ResponseReader

__all__ = ["ANSWERS", "CHUNKED", "HINT", "OK", "SEED", "SWITCH", "Seen", "pieces", "read"]

SEED = 20_261_122
OK = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Seen:
    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    keeps: bool


def pieces(data: bytes, how: str) -> Iterator[bytes]:
    rng, at = random.Random(SEED), 0
    while at < len(data):
        size = {"whole": len(data), "byte by byte": 1}.get(how) or rng.randint(1, 9)
        yield data[at : at + size]
        at += size


def read(parts: Iterable[bytes]) -> Seen:
    """What a call reads of a connection that brings `parts` and ends."""
    feed, answer, body = iter(parts), ResponseReader(), []
    while (rest := answer.feed_head(next(feed, b""))) is None:
        pass
    while not answer.is_over:
        body.append(answer.feed(rest or next(feed, b"")))
        rest = b""
    if answer.error is not None:
        raise answer.error
    return Seen(answer.status, answer.headers.raw, b"".join(body), answer.keeps)


HINT = b"HTTP/1.1 103 Early\r\nLink: <a>\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "a length twice": (OK + b"Content-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "no content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok", True),
    "an early hint": (HINT + OK + b"Content-Length: 1\r\n\r\nx", b"x", True),
    "the end of the connection": (OK + b"\r\nhello", b"hello", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "close": (OK + b"Connection: x, Close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "bytes that nobody asked for": (OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200", b"ok", False),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!", True),
    "a chunk of line ends": (CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", True),
    "chunk extensions": (CHUNKED + b'00A;a="b" \r\n0123456789\r\n0;z\r\n\r\n', b"0123456789", True),
    "a trailer": (CHUNKED + b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"x", True),
    "bytes after the chunks": (CHUNKED + b"1\r\nx\r\n0\r\n\r\nHTTP", b"x", False),
    "chunks and a length": (
        OK + b"Content-Length: 1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"ok",
        False,
    ),
}  # fmt: skip
