"""`python -m tests.engine.fuzz`: mutated responses, read by our reader and by h11.

What our reader accepts, h11 must accept too, with the same status and body: a client that is misled
about the length of a body mistakes one response for another. And our reader must say the same of
a response in one piece, cut in two at each of its bytes, and byte by byte.

`--parser` has httptools read instead: `llhttp` as it is, `checked-llhttp` the chunks alone, behind
our reader of heads. They tell how strict that would be.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import h11
import httptools

from llm_mesh_middleware._engine.http.http1 import NotHTTP, ResponseReader
from tests.engine.answers import ANSWERS, SEED, read

__all__ = ["Found", "fuzz"]

NOISE = (
    b"\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"\xff", b"0", b"1",
    b"f", b"-", b"\v", b"\f", b"HTTP/1.1 200 OK\r\n", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"close",
)  # fmt: skip
_MOST_SHOWN = 10

Parser = Callable[[Sequence[bytes]], tuple[int, bytes] | None]


@dataclass
class Found:
    """How many responses were accepted, and those that were read in another way than by h11."""

    accepted: int = 0
    differences: list[str] = field(default_factory=list)


def fuzz(count: int, *, seed: int = SEED, parser: str = "ours") -> Found:
    """Read so many mutated responses, each in all its cuts."""
    found, reads = Found(), PARSERS[parser]
    for data in _mutations(count, random.Random(seed)):
        seen = reads((data,))
        found.accepted += seen is not None
        if seen is not None and seen != (strict := _by_h11((data,))):
            found.differences.append(f"{data!r}: {seen}, h11: {strict}")
        for cut in _cuts(data):
            if (again := reads(cut)) != seen:
                found.differences.append(f"{data!r}: {seen}, cut as {cut}: {again}")
                break
    return found


def _mutations(count: int, rng: random.Random) -> Iterator[bytes]:
    """Good responses with up to three changes: bytes inserted, and up to two removed for each."""
    good = [sent for sent, _, _ in ANSWERS.values()]
    for number in range(count):
        data = bytearray(rng.choice(good))
        for _ in range(number % 4):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.choice((0, 0, 1, 2))] = rng.choice(NOISE)
        yield bytes(data)


def _cuts(data: bytes) -> Iterator[Sequence[bytes]]:
    for at in range(1, len(data)):
        yield data[:at], data[at:]
    yield [data[at : at + 1] for at in range(len(data))]


def _by_us(parts: Sequence[bytes]) -> tuple[int, bytes] | None:
    try:
        seen = read(parts)
    except NotHTTP:
        return None
    return seen.status, seen.body


def _by_h11(parts: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return status and body as h11 reads them; None if it refuses."""
    connection, status, body = h11.Connection(h11.CLIENT), 0, b""
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "a.example")]))
    connection.send(h11.EndOfMessage())
    for part in (*parts, b""):
        connection.receive_data(part)
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body


class _Heard:
    """What llhttp calls back for the first response that is not informational."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.is_over = False
        self.needs_end = True
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.needs_end = False

    def on_headers_complete(self) -> None:
        if not self.is_over:
            self.status = self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if not self.is_over:
            self.body += data

    def on_message_complete(self) -> None:
        self.is_over = self.status >= 200


def _by_llhttp(parts: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return what httptools makes of it, without any check of ours."""
    heard = _Heard()
    try:
        for part in parts:
            heard.parser.feed_data(part)
    except httptools.HttpParserError:
        if not heard.is_over:
            return None
    if not heard.is_over and not (heard.status >= 200 and heard.needs_end):
        return None
    return heard.status, heard.body


def _by_checked_llhttp(parts: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return what httptools makes of chunks, and our reader of all the rest.

    The least that would pay: heads cost the same in both, chunks do not.
    """
    reader, rest, left = ResponseReader(), None, list(parts)
    try:
        while rest is None:
            rest = reader.feed_head(left.pop(0) if left else b"")
    except NotHTTP:
        return None
    if not reader._is_chunked:
        return _by_us(parts)
    heard = _Heard()
    heard.parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    try:
        for part in (rest, *left):
            heard.parser.feed_data(part)
    except httptools.HttpParserError:
        pass
    return (reader.status, heard.body) if heard.is_over else None


PARSERS: Mapping[str, Parser] = {
    "ours": _by_us,
    "llhttp": _by_llhttp,
    "checked-llhttp": _by_checked_llhttp,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell what was found; 1 if anything was read in another way."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=240_000, help="mutated responses (240,000)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--parser", choices=PARSERS, default="ours")
    options = parser.parse_args(arguments)
    found = fuzz(options.count, seed=options.seed, parser=options.parser)
    print(f"{options.count:,} responses, {found.accepted:,} accepted by {options.parser}")
    print(f"{len(found.differences)} read in another way than by h11, or by how they were cut")
    for difference in found.differences[:_MOST_SHOWN]:
        print(f"  {difference}")
    return int(bool(found.differences))


if __name__ == "__main__":
    sys.exit(main())
