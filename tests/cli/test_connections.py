"""A connection of `llm-mesh serve` has limits before anything is known of its request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from llm_mesh_middleware.cli.serving.http import SidecarProtocol

Connect = Callable[[], socket.socket]

KIB = 1024
LIMIT = SidecarProtocol.max_head_bytes
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"


class Quick(SidecarProtocol):
    """Loses its patience sooner."""

    head_timeout_s = 0.05


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the request's head and body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    text = f"{size} {len(body)}".encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
def serve() -> Iterator[Callable[..., Connect]]:
    """`serve(Quick, limit_concurrency=3)`: a server; what it returns connects to it.

    The bytes of `waiting` are sent on the first connection before the server accepts it: a busy
    machine may take longer between the two than a quick server waits.
    """
    running: list[tuple[uvicorn.Server, threading.Thread]] = []
    sockets: list[socket.socket] = []

    def serve(
        protocol: type[SidecarProtocol] = SidecarProtocol, *, waiting: bytes = b"", **options: Any
    ) -> Connect:
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        early = [socket.create_connection(address, 5)] if waiting else []
        for sock in early:
            sock.sendall(waiting)
        options = {"http": protocol, "ws": "none", "log_config": None, "lifespan": "off"} | options
        server = uvicorn.Server(uvicorn.Config(app, **options))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running.append((server, thread))

        def connect() -> socket.socket:
            sock = early.pop() if early else socket.create_connection(address, 5)
            sockets.append(sock)
            return sock

        return connect

    yield serve
    for sock in sockets:
        sock.close()
    for server, thread in running:
        server.should_exit = server.force_exit = True
        thread.join(10)


def read(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    while part := sock.recv(64 * KIB):
        received += part
    return received


def head(size: int) -> bytes:
    """A whole request head of that many bytes."""
    start, end = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-fill: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


SHAPES = {
    "a value": b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * LIMIT,
    "a name": b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x" * LIMIT,
    "a target": b"GET /" + b"x" * LIMIT,
    "fields": b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * (LIMIT // 6),
    "empty lines": b"\r\n" * LIMIT,
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("cut", ["whole", "pieces"])
def test_a_head_above_the_limit_is_refused(
    serve: Callable[..., Connect], data: bytes, cut: str
) -> None:
    sock = serve()()
    size = len(data) if cut == "whole" else 5_000
    with contextlib.suppress(ConnectionError):  # it may be refused before its end
        for at in range(0, len(data), size):
            sock.sendall(data[at : at + size])
        sock.sendall(b"x")
    answer = read(sock)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"request_head_too_large"' in answer


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_a_head_up_to_the_limit_is_served(serve: Callable[..., Connect], size: int) -> None:
    sock = serve()()
    sock.sendall(head(size))
    assert read(sock).startswith(b"HTTP/1.1 200 ")


def test_one_byte_more_is_refused(serve: Callable[..., Connect]) -> None:
    sock = serve()()
    sock.sendall(head(LIMIT + 1))
    assert read(sock).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("size", [1, 70_000, 3_000_000])
def test_a_body_does_not_count_as_head(serve: Callable[..., Connect], size: int) -> None:
    sock = serve()()
    fields = b"host: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size
    sock.sendall(b"POST / HTTP/1.1\r\n" + fields + b"x" * size)
    assert read(sock).endswith(b" %d" % size)


def test_each_head_of_a_connection_is_counted_by_itself(serve: Callable[..., Connect]) -> None:
    sock = serve()()
    fill = b"x-fill: " + b"x" * (LIMIT // 2) + b"\r\n"
    request = POST.replace(b"\r\n\r\n", b"\r\n" + fill + b"\r\n")
    for _ in range(4):
        sock.sendall(request)
        assert sock.recv(64 * KIB).endswith(b" 5")


def test_a_pipelined_head_above_the_limit_is_not_served(serve: Callable[..., Connect]) -> None:
    sock = serve()()
    data = POST * 3 + head(3 * LIMIT)
    received = b""
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)
        received = read(sock)
    assert received.count(b" 200 ") <= 3


@pytest.mark.parametrize(("count", "served"), [(3, 3), (17, 17), (18, 0), (1_500, 0)])
def test_a_connection_on_which_many_requests_wait_is_closed(
    serve: Callable[..., Connect], count: int, served: int
) -> None:
    sock = serve()()
    received = b""
    with contextlib.suppress(ConnectionError):
        sock.sendall(POST * (count - 1) + POST.replace(b"host: a", b"connection: close"))
        received = read(sock)
    assert received.count(b" 200 ") == served


def test_a_refused_client_may_send_on_until_it_has_read_the_reply(
    serve: Callable[..., Connect],
) -> None:
    sock = serve()()
    sock.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * (LIMIT + 10))
    assert sock.recv(12) == b"HTTP/1.1 431"
    sock.sendall(b"x" * 1000)
    assert b"request_head_too_large" in read(sock)


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\nhost: a\r\n", b"\r\n"])
def test_a_head_that_does_not_arrive_in_time_is_refused(
    serve: Callable[..., Connect], data: bytes
) -> None:
    assert read(serve(Quick, waiting=data)()).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_drips_has_no_more_time(serve: Callable[..., Connect]) -> None:
    sock = serve(Quick)()
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - begun < 5:
            sock.sendall(b"x")
            time.sleep(0.005)
    assert time.monotonic() - begun < 4


def test_a_silent_connection_is_closed_without_a_word(serve: Callable[..., Connect]) -> None:
    assert read(serve(Quick)()) == b""


def test_a_second_head_has_its_time_too(serve: Callable[..., Connect]) -> None:
    class Hasty(SidecarProtocol):
        """Loses its patience from the second head on."""

    sock = serve(Hasty)()
    sock.sendall(POST)
    assert sock.recv(64 * KIB).startswith(b"HTTP/1.1 200 ")
    Hasty.head_timeout_s = Quick.head_timeout_s
    sock.sendall(b"GET / HTT")
    assert read(sock).startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_has_the_time_of_the_application(serve: Callable[..., Connect]) -> None:
    sock = serve(Quick, waiting=POST[:-1])()
    for _ in range(4):
        time.sleep(0.03)  # longer than a head may take
    sock.sendall(POST[-1:])
    assert sock.recv(64 * KIB).endswith(b" 5")


def test_connections_above_the_limit_are_refused(serve: Callable[..., Connect]) -> None:
    connect = serve(limit_concurrency=3)
    first, second = connect(), connect()
    for sock in (first, second):
        sock.sendall(POST)
        assert sock.recv(64 * KIB).startswith(b"HTTP/1.1 200 ")
    refused = connect()
    answer = read(refused)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"too_many_connections"' in answer
    second.sendall(POST)
    assert second.recv(64 * KIB).startswith(b"HTTP/1.1 200 ")


def test_a_place_is_free_again_when_a_connection_has_ended(serve: Callable[..., Connect]) -> None:
    connect = serve(limit_concurrency=2)
    with contextlib.closing(connect()) as first:
        first.sendall(POST)
        first.recv(64 * KIB)
    deadline = time.monotonic() + 5
    while True:
        sock = connect()
        sock.sendall(POST)
        if sock.recv(64 * KIB).startswith(b"HTTP/1.1 200 "):
            return
        assert time.monotonic() < deadline
