"""The load: keep-alive connections that each wait for an answer, check it and ask again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Load", "Round", "run_load"]

_CHUNKED_END = b"\r\n0\r\n\r\n"
# Far beyond what a slow contender needs for one answer.
_DRAIN_S = 60.0
# Servers close connections on which nothing was asked for a few seconds.
_IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send to `port` and what has to come back; any answer will do where it is None.

    It goes on for `seconds`, or for `requests` in all if that is set, and in any case until each
    connection has its answer. Connections begin one after another over `spread_s`, the time that
    one answer takes: else they would all wait and all ask at the same moment, over and over.
    """

    port: int
    request: bytes
    answer: bytes | None
    in_flight: int
    seconds: float
    requests: int | None = None
    spread_s: float = 0.0


@dataclass(slots=True)
class Round:
    """What one run of the load saw; `writes` are the pieces that streamed bodies came in."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    requests: int = 0
    writes: int = 0
    errors: int = 0
    first_error: str | None = None
    first_byte_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)


class _Phase:
    """A stretch of load: hands out requests until there have been enough."""

    def __init__(self, load: Load, requests: int | None, seconds: float) -> None:
        self.round = Round()
        self.seconds = seconds
        self._left = None if requests is None else requests - load.in_flight
        self._end = time.perf_counter() + seconds
        self._active = load.in_flight
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def has_more(self) -> bool:
        """Whether a connection that has had an answer shall ask again."""
        if self._left is None:
            return time.perf_counter() < self._end
        self._left -= 1
        return self._left >= 0

    def leave(self) -> None:
        self._active -= 1
        if not self._active and not self.done.done():
            self.done.set_result(None)

    def error(self, text: str) -> None:
        self.round.errors += 1
        self.round.first_error = self.round.first_error or text


class _Client(asyncio.Protocol):
    """One connection; never has more than one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._phase: _Phase | None = None
        self._is_lost = False
        self._head = b""
        self._is_in_body = False
        self._length: int | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._asked_at = self._first_at = self._ended_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._phase is not None:
            self._fail(f"the connection was lost: {exc}")

    def enter(self, phase: _Phase) -> None:
        """Take part in `phase`."""
        self._phase = phase
        if self._is_lost:
            self._fail("the connection is lost")
        else:
            self._ask()

    def is_stale(self) -> bool:
        """Whether the server may have closed the connection, or may be about to."""
        return self._is_lost or time.perf_counter() - self._ended_at > _IDLE_S

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._is_in_body:
            self._head += data
            head, mark, data = self._head.partition(b"\r\n\r\n")
            if not mark:
                return
            self._head, self._is_in_body = head, True
            length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            self._length = int(length) if length else None
        if not data:
            return
        if not self._parts:
            self._first_at = time.perf_counter()
        self._parts.append(data)
        if self._length is None:
            self._tail = (self._tail + data)[-len(_CHUNKED_END) :]
            if self._tail == _CHUNKED_END:
                self._finish()
        else:
            self._size += len(data)
            if self._size >= self._length:
                self._finish()

    def _ask(self) -> None:
        self._head, self._is_in_body, self._length = b"", False, None
        self._parts, self._size, self._tail = [], 0, b""
        self._asked_at = time.perf_counter()
        self._transport.write(self._load.request)

    def _finish(self) -> None:
        assert self._phase is not None
        seen, now = self._phase.round, time.perf_counter()
        self._ended_at = now
        body = b"".join(self._parts)
        writes = 1
        if self._length is None:
            body, writes = _dechunked(body)
        if not self._head.startswith(b"HTTP/1.1 200 "):
            self._phase.error(f"{self._head[9:12].decode()}: {body[:200].decode()}")
        elif self._load.answer is not None and body != self._load.answer:
            self._phase.error(f"not the answer of the upstream, {len(body)} bytes")
        seen.requests += 1
        seen.writes += writes
        seen.first_byte_s.append(self._first_at - self._asked_at)
        seen.whole_s.append(now - self._asked_at)
        if self._phase.has_more():
            self._ask()
        else:
            self._leave()

    def _fail(self, text: str) -> None:
        assert self._phase is not None
        self._phase.error(text)
        self._leave()

    def _leave(self) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            phase.leave()


def _dechunked(data: bytes) -> tuple[bytes, int]:
    """The content of a chunked body, and how many pieces it came in."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if not size:
            return b"".join(pieces), len(pieces)
        pieces.append(data[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


async def run_load(load: Load, read_cpu_s: Callable[[], float]) -> Round:
    """Put `load` on a server; `read_cpu_s` is asked before and after for the server's CPU time.

    Each connection has one answer before the clock starts: connecting, to the server and from there
    to the upstream, is not what is measured.
    """
    clients: list[_Client] = []
    try:
        clients += [await _connect(load) for _ in range(load.in_flight)]
        warm = await _run(_Phase(load, load.in_flight, 0.0), clients, 0.0)
        if warm.errors:
            return warm
        for index, client in enumerate(clients):
            if client.is_stale():
                client.close()
                clients[index] = await _connect(load)
        before_s, begun_at = read_cpu_s(), time.perf_counter()
        seen = await _run(_Phase(load, load.requests, load.seconds), clients, load.spread_s)
        seen.wall_s = time.perf_counter() - begun_at
        seen.cpu_s = read_cpu_s() - before_s
        return seen
    finally:
        for client in clients:
            client.close()


async def _connect(load: Load) -> _Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: _Client(load), "127.0.0.1", load.port)
    return client


async def _run(phase: _Phase, clients: list[_Client], spread_s: float) -> Round:
    for client in clients:
        client.enter(phase)
        if spread_s:
            await asyncio.sleep(spread_s / len(clients))
    try:
        async with asyncio.timeout(phase.seconds + _DRAIN_S):
            await phase.done
    except TimeoutError:
        phase.error(f"an answer was not there after {_DRAIN_S:g} s")
    return phase.round
