"""Many streams at once do not mix, and one that nobody reads takes no memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Scripted,
    Stream,
)
from tests.adapters.wire import Client, request_bytes
from tests.streams.conftest import Site, chat
from tests.streams.serving import PLAIN

STREAMS = 200
DONE = b"data: [DONE]\n\n"


def event(name: str, number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f"{name}/{number}"}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


async def ask(port: int, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(chat(stream=True, user=name))
    return reader, writer


def payload(body: bytes) -> bytes:
    """The content of complete chunks."""
    whole = b""
    while match := re.match(rb"([0-9a-f]+)\r\n", body):
        size = int(match[1], 16)
        whole += body[match.end() : match.end() + size]
        body = body[match.end() + size + 2 :]
    return whole


async def test_parallel_streams_do_not_mix_and_begin_before_they_end(
    site: Site, upstream: FakeUpstream
) -> None:
    gate = Gate()

    def answer(request: RecordedRequest) -> Stream:
        name = request.json()["user"]
        rest = [event(name, number) for number in range(1, 6)]
        return Stream([event(name, 0), gate, *rest, DONE])

    upstream.always(answer)
    port = site.port()
    names = [f"stream-{number}" for number in range(STREAMS)]
    async with asyncio.timeout(20):
        opened = await asyncio.gather(*(ask(port, name) for name in names))
        firsts = [await reader.readuntil(b"\n\n") for reader, _ in opened]
        assert not gate.is_open
        assert len(upstream.requests) == STREAMS
        assert all(request.answered_at is None for request in upstream.requests)
        gate.open()
        rests = [await reader.readuntil(b"\r\n0\r\n\r\n") for reader, _ in opened]
    for name, first, rest, (_, writer) in zip(names, firsts, rests, opened, strict=True):
        body = (first + rest).partition(b"\r\n\r\n")[2]
        assert payload(body) == b"".join(event(name, number) for number in range(6)) + DONE
        writer.close()


@contextmanager
def process(site: Site, **more: object) -> Iterator[tuple[int, int]]:
    """A mesh in a process of its own: its id and its port."""
    settings = {
        "LLM_MESH_CONFIG": str(site.config),
        "LLM_MESH_ENDPOINTS": json.dumps({PLAIN: site.upstream.url}),
        **{f"LLM_MESH_{name.upper()}": str(value) for name, value in more.items()},
    }
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.streams.app"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | settings | {"PYTHONPATH": str(root)},
        cwd=root,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            yield child.pid, int(child.stdout.readline())
        finally:
            child.stdin.close()
            assert child.wait(10) == 0


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def until_still(request: RecordedRequest) -> int:
    """How many bytes the provider could send before it was held back."""
    sent, still = -1, 0
    while still < 5:
        time.sleep(0.03)
        still = still + 1 if request.sent_bytes == sent else 0
        sent = request.sent_bytes
    return sent


_JSON = [("content-type", "application/json")]
_GZIP = [*_JSON, ("content-encoding", "gzip")]
TOO_LONG: dict[str, Callable[[], Scripted]] = {
    "a JSON of 64 MB": lambda: Stream([b'"' + b"x" * 2**20] * 64, headers=_JSON),
    "a bomb of 256 MB": lambda: Answer(headers=_GZIP, body=gzip.compress(bytes(2**28), 1)),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("answer", TOO_LONG.values(), ids=TOO_LONG)
def test_an_answer_that_is_too_long_is_not_held_whole(
    site: Site, upstream: FakeUpstream, answer: Callable[[], Scripted]
) -> None:
    limit = 2 * 2**20
    upstream.always(answer())
    with process(site, max_response_bytes=limit) as (pid, port), Client(port) as client:
        assert client.ask(request_bytes("app.example")).status == 200
        before = resident_bytes(pid)
        for _ in range(3):
            assert client.ask(chat()).status == 502
        assert resident_bytes(pid) - before < 8 * limit


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_client_that_reads_nothing_holds_the_provider_back(
    site: Site, upstream: FakeUpstream
) -> None:
    piece = b"data: " + b"1" * 99_990 + b"\n\n"
    offered = 64 * 2**20
    upstream.always(lambda _: Stream(piece for _ in range(offered // len(piece))))
    with process(site) as (pid, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect(("127.0.0.1", port))
        client.settimeout(5)
        client.sendall(chat(stream=True))
        assert client.recv(10).startswith(b"HTTP/1.1 2")
        before = resident_bytes(pid)
        [request] = upstream.wait_for_requests(1)
        held = until_still(request)
        assert held < offered // 3
        assert resident_bytes(pid) - before < 8 * 2**20
        assert request.disconnected_at is None
        while client.recv(1 << 20) and request.sent_bytes < held + 24 * 2**20:
            pass  # it goes on as soon as the client does
        assert resident_bytes(pid) - before < 8 * 2**20
        client.close()
        assert request.wait_disconnected()
