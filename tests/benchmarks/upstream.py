"""The mock upstream, a process of its own: as cheap as possible, and strict about what it is sent.

How it answers is set for each scenario from the parent; it then closes all connections, so that no
scenario inherits the pool of another.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass, field

from tests.benchmarks.child import allow_many_files, answer_parent, cpu_seconds, pin, report
from tests.benchmarks.wire import (
    KEY,
    MODEL,
    PATH,
    PROVIDER_HOST,
    stream_events,
    unary_answer,
    usage_event,
)

__all__ = ["main"]

_REQUEST_LINE = f"POST {PATH} HTTP/1.1\r\n".encode()
_AUTHORIZATION = f"authorization: bearer {KEY}\r\n".encode().lower()
_MODEL = f'"model":"{MODEL}"'.encode()
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_DONE = b"data: [DONE]\n\n"


def _whole(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


@dataclass
class _Behaviour:
    """How requests are answered now: `set_to` is called between two scenarios."""

    think_s: float = 0.0
    pace_s: float = 0.0
    unary: bytes = b""
    streams: dict[bool, list[bytes]] = field(default_factory=dict)
    connections: set[_Connection] = field(default_factory=set)

    def set_to(self, *, think_s: float, chunks: int, pace_s: float) -> None:
        self.think_s, self.pace_s = think_s, pace_s
        self.unary = _whole("200 OK", unary_answer())
        events = [_framed(event) for event in stream_events(chunks)]
        end = _framed(_DONE) + b"0\r\n\r\n"
        # The key says whether the request asked for token counts; they come right before the end.
        self.streams = {False: [*events, end], True: [*events, _framed(usage_event()) + end]}
        for connection in list(self.connections):
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, behaviour: _Behaviour) -> None:
        self._behaviour = behaviour
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._events: list[bytes] = []
        self._sent = 0
        self._is_paused = self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._behaviour.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._behaviour.connections.discard(self)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        head, mark, body = data.partition(b"\r\n\r\n")
        if not mark:
            return
        fields = head.lower() + b"\r\n"
        length = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or 0):
            return
        self._buffer = b""
        self._loop.call_later(self._behaviour.think_s, self._answer, head + b"\r\n", fields, body)

    def _answer(self, head: bytes, fields: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        fault = _fault(head, fields, body)
        if fault:
            error = json.dumps({"error": {"message": f"upstream: {fault}"}}).encode()
            self._transport.write(_whole("500 Internal Server Error", error))
        elif b'"stream":true' not in body:
            self._transport.write(self._behaviour.unary)
        else:
            self._events = self._behaviour.streams[b'"include_usage":true' in body]
            self._sent = 0
            self._transport.write(_STREAM_HEAD)
            self._begun_at = time.perf_counter()
            self._next()

    def _next(self) -> None:
        """One event, one write: a provider sends each token when it has it."""
        if self._is_paused:
            self._is_waiting = True
            return
        if self._transport.is_closing():
            return
        self._transport.write(self._events[self._sent])
        self._sent += 1
        if self._sent == len(self._events):
            return
        if self._behaviour.pace_s:
            due = self._begun_at + self._sent * self._behaviour.pace_s
            self._loop.call_later(due - time.perf_counter(), self._next)
        else:
            self._loop.call_soon(self._next)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._is_waiting:
            self._is_waiting = False
            self._next()


class _Sink(asyncio.Protocol):
    """Takes what is exported over OTLP/HTTP, and says that it was good."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._head = b""
        self._left = 0

    def data_received(self, data: bytes) -> None:
        while data:
            if not self._left:
                self._head += data
                head, mark, data = self._head.partition(b"\r\n\r\n")
                if not mark:
                    return
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                self._head, self._left = b"", int(length or 0)
            taken = min(self._left, len(data))
            self._left -= taken
            data = data[taken:]
            if not self._left:
                self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def _fault(head: bytes, fields: bytes, body: bytes) -> str | None:
    if not head.startswith(_REQUEST_LINE):
        return "the request line is not as configured"
    if _AUTHORIZATION not in fields:
        return "the key is not as configured"
    if _MODEL not in body:
        return "the model is not as configured"
    return None


def _tls_context(ca_file: str) -> ssl.SSLContext:
    """A certificate for the provider's name and for its address; `ca_file` will trust it."""
    from llm_mesh_middleware.testing import CertificateAuthority

    authority = CertificateAuthority()
    authority.write(ca_file)
    return authority.issue(PROVIDER_HOST, "127.0.0.1")


async def _serve(ca_file: str) -> None:
    loop = asyncio.get_running_loop()
    behaviour = _Behaviour()
    stopped = asyncio.Event()
    ports = {}
    for scheme, context in (("http", None), ("https", _tls_context(ca_file))):
        server = await loop.create_server(
            lambda: _Connection(behaviour), "127.0.0.1", 0, ssl=context, backlog=2048
        )
        ports[scheme] = server.sockets[0].getsockname()[1]
    sink = await loop.create_server(_Sink, "127.0.0.1", 0)
    ports["sink"] = sink.sockets[0].getsockname()[1]

    async def set_to(values: dict[str, float]) -> None:
        behaviour.set_to(
            think_s=values["think_s"], chunks=int(values["chunks"]), pace_s=values["pace_s"]
        )

    def answer(line: str) -> dict[str, object]:
        if line != "cpu":
            asyncio.run_coroutine_threadsafe(set_to(json.loads(line)), loop).result(10)
        return {"cpu_s": cpu_seconds()}

    answer_parent(answer, at_end=lambda: loop.call_soon_threadsafe(stopped.set))
    report(ports=ports)
    await stopped.wait()


def main() -> None:
    """`python -m tests.benchmarks.upstream CA_FILE`; the file is written here."""
    pin("load")
    allow_many_files()
    asyncio.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
