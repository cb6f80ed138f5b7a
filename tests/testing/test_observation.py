"""What the upstream tells of its clients: requests as they came, and the moment a client left."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Drip,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Scripted,
    Stream,
)
from tests.rows import rows
from tests.testing.clients import HOST, Connect, read_all, read_until, request_bytes

CLOSED_WITHIN_S = 0.1


def test_a_request_is_recorded_as_it_came(upstream: FakeUpstream, connect: Connect) -> None:
    connect().sendall(
        b"POST /v1/x?y=1 HTTP/1.1\r\nhOST: A\r\nX-Twice:  1 \r\nx-twice: 2\r\n"
        b'Content-Length: 7\r\n\r\n{"a":1}'
    )
    request = upstream.wait_for_requests(1)[0]

    assert (request.method, request.target, request.path) == ("POST", "/v1/x?y=1", "/v1/x")
    assert request.headers == [
        ("hOST", "A"),
        ("X-Twice", "1"),
        ("x-twice", "2"),
        ("Content-Length", "7"),
    ]
    assert (request.header("HOST"), request.header("X-TWICE")) == ("A", "1, 2")
    assert request.header("absent") is None
    assert request.json() == {"a": 1}
    assert request.server_name == (HOST if upstream.url.startswith("https") else None)


def test_a_printed_request_shows_no_header_and_no_body() -> None:
    request = RecordedRequest("POST", "/x", [("authorization", "Bearer canary")], b"canary")

    assert "canary" not in repr(request)


WAITS: dict[str, tuple[Scripted, bytes]] = {
    "before the head, silent": (Cut(how="stall"), b""),
    "before the head, delayed": (Answer(delay=60.0), b""),
    "before the head, at a gate": (Answer(delay=Gate()), b""),
    "before the first token": (Stream([60.0, b"never"]), b"\r\n\r\n"),
    "in the stream, at a gate": (Stream([b"one", Gate(), b"never"]), b"one\r\n"),
    "in the stream, in a pause": (Stream([b"one", b"never"], pause=60.0), b"one\r\n"),
    "in the stream, dripping": (Drip(Stream([b"one"] * 10_000), interval=0.001), b"HTTP"),
    "in the stream, stalled": (Stream([b"one"], end="stall"), b"one\r\n"),
    "in half a body": (Cut(Answer(body=b"0123456789"), at=0.99, how="stall"), b"012345678"),
}


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize(("answer", "seen"), WAITS.values(), ids=WAITS)
def test_a_client_that_leaves_is_noticed_at_once(
    upstream: FakeUpstream, connect: Connect, answer: Scripted, seen: bytes, how: str
) -> None:
    upstream.script(answer)
    sock = connect()
    sock.sendall(request_bytes())
    request = upstream.wait_for_requests(1)[0]
    if seen == b"HTTP":
        assert sock.recv(1)
    elif seen:
        read_until(sock, seen)

    left_at = time.monotonic()
    if how == "half-close":
        socket.socket.shutdown(sock, socket.SHUT_WR)  # the TCP one, whatever the TLS layer thinks
    else:
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    assert request.wait_disconnected()
    assert request.disconnected_at is not None
    assert 0 <= request.disconnected_at - left_at < CLOSED_WITHIN_S
    assert request.answered_at is None
    assert upstream.wait_closed()


def test_a_client_that_leaves_a_full_pipe_is_noticed(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(lambda request: Stream(itertools.repeat(b"x" * 65536)))
    sock = connect()
    sock.sendall(request_bytes())
    request = upstream.wait_for_requests(1)[0]
    deadline = time.monotonic() + 5
    sent = -1
    while sent != request.sent_bytes:  # the client reads nothing: it must come to a halt
        assert time.monotonic() < deadline
        sent = request.sent_bytes
        threading.Event().wait(0.05)
    left_at = time.monotonic()
    sock.close()

    assert 0 < sent < 64 << 20
    assert request.wait_disconnected()
    assert request.disconnected_at is not None
    assert request.disconnected_at - left_at < CLOSED_WITHIN_S


def test_a_client_that_leaves_right_after_asking_is_recorded_and_noticed(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Answer(delay=60.0))
    sock = connect()
    sock.sendall(request_bytes())
    sock.close()

    assert upstream.wait_for_requests(1)[0].wait_disconnected()


@pytest.mark.parametrize("answer", [Answer(body=b"ok!"), Stream([b"ok!"], framing="close")])
def test_a_client_that_leaves_with_the_whole_answer_has_not_disconnected(
    upstream: FakeUpstream, connect: Connect, answer: Scripted
) -> None:
    upstream.always(answer)
    for _ in range(20):  # the client races the upstream's own book-keeping
        sock = connect()
        sock.sendall(request_bytes())
        read_until(sock, b"ok!")
        sock.close()

    assert upstream.wait_closed()
    requests = upstream.requests
    assert len(requests) == 20
    for request in requests:
        assert request.wait_answered()
        assert request.disconnected_at is None


def test_waiting_for_a_disconnect_that_does_not_come_ends_in_time(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Cut(how="stall"))
    connect().sendall(request_bytes())
    request = upstream.wait_for_requests(1)[0]

    assert not request.wait_disconnected(0.01)
    assert not upstream.wait_closed(0.01)
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        upstream.wait_for_requests(2, 0.01)


def test_half_a_request_is_not_recorded(upstream: FakeUpstream, connect: Connect) -> None:
    sock = connect()
    sock.sendall(request_bytes()[:-1])
    sock.close()
    later = connect()
    later.sendall(request_bytes())
    read_until(later, b"}}")

    assert [request.connection for request in upstream.requests] == [2]


def test_clear_forgets_requests_and_answers(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.always(Answer(body=b"standing!"))
    sock = connect()
    sock.sendall(request_bytes())
    read_until(sock, b"standing!")
    upstream.script(Cut())
    upstream.clear()

    assert upstream.requests == []
    sock.sendall(request_bytes())
    assert b"You said" in read_until(sock, b"}}")
    assert [request.number for request in upstream.requests] == [2]


def test_fifty_clients_at_once_are_all_answered_and_recorded(
    upstream: FakeUpstream, connect: Connect
) -> None:
    together = threading.Barrier(50)

    def ask(n: int) -> bool:
        text = f"number-{n}-"
        body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": n % 2 == 0}
        sock = connect()
        together.wait(5)
        for _ in range(4):
            sock.sendall(request_bytes(body))
            answer = read_until(sock, b"}}" if n % 2 else b"0\r\n\r\n")
            others = {f"number-{other}-" for other in range(50)} - {text}
            if text.encode() not in answer or any(other.encode() in answer for other in others):
                return False
        return True

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(ask, range(50)))

    requests = upstream.requests
    assert [request.number for request in requests] == list(range(1, 201))
    assert len({request.connection for request in requests}) == upstream.accepted_connections == 50
    sent = {request.json()["messages"][0]["content"] for request in requests}
    assert len(sent) == 50


async def test_an_async_test_uses_it_without_its_loop_being_held_up() -> None:
    async with FakeUpstream(tls=False) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(request_bytes(None, "Connection: close"))
        assert b"You said" in await reader.read()
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(upstream.wait_closed)


def test_close_in_the_middle_of_everything_leaves_nothing_behind(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.always(Stream([b"one", Gate()]))
    busy, half, fresh = connect(), connect(), connect()
    busy.sendall(request_bytes())
    read_until(busy, b"one\r\n")
    half.sendall(b"POST /")

    others = set(threading.enumerate()) - {upstream._thread}
    upstream.close()
    upstream.close()

    assert upstream.open_connections == 0
    for sock in (busy, half, fresh):
        assert read_all(sock)[0] == b""
    assert set(threading.enumerate()) <= others
    assert not upstream.requests[0].wait_disconnected()  # it was us


def test_a_closed_upstream_refuses_and_can_come_back_on_its_port() -> None:
    upstream = FakeUpstream(tls=False).start()
    port = upstream.port
    upstream.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    with upstream:
        assert upstream.port == port
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.sendall(request_bytes(None, "Connection: close"))
            assert b"You said" in read_all(sock)[0]


FAILURES: dict[str, tuple[Scripted, type[Exception]]] = {
    "a callable that fails": (lambda request: request.json()["absent"], KeyError),
    "a callable that returns no answer": (lambda request: 200, TypeError),  # type: ignore[dict-item,return-value]
    "a cut beyond the end": (Cut(Answer(), after=10_000), ValueError),
}


@rows(("answer", "error"), FAILURES.values(), ids=FAILURES)
def test_a_failure_inside_is_raised_by_close(answer: Scripted, error: type[Exception]) -> None:
    upstream = FakeUpstream(tls=False).start()
    upstream.script(answer)
    with socket.create_connection(("127.0.0.1", upstream.port), 1) as sock:
        sock.sendall(request_bytes())
        read_all(sock)
    with pytest.raises(error):
        upstream.close()
    upstream.close()


def test_several_failures_are_raised_as_a_group() -> None:
    upstream = FakeUpstream(tls=False).start()
    upstream.always(lambda request: request.json()["absent"])
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", upstream.port), 1) as sock:
            sock.sendall(request_bytes())
            read_all(sock)
    with pytest.raises(ExceptionGroup, match="failures inside") as caught:
        upstream.close()
    assert [type(error) for error in caught.value.exceptions] == [KeyError, KeyError]


def test_a_failing_test_keeps_its_own_failure_on_top() -> None:
    def fail() -> None:
        with FakeUpstream(tls=False) as upstream:
            upstream.script(lambda request: request.json()["absent"])
            with socket.create_connection(("127.0.0.1", upstream.port), 1) as sock:
                sock.sendall(request_bytes())
                read_all(sock)
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        fail()
    assert "KeyError('absent')" in caught.value.__notes__[0]


@rows("answer", [Cut, {"a": 1}, 200])
def test_what_is_no_answer_is_refused_when_scripted(answer: object) -> None:
    upstream = FakeUpstream(tls=False)

    with pytest.raises(TypeError, match="an answer is"):
        upstream.script(answer)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an answer is"):
        upstream.always(answer)  # type: ignore[arg-type]


def test_a_port_in_use_is_told_to_whoever_starts() -> None:
    with FakeUpstream(tls=False) as first:
        second = FakeUpstream(tls=False, port=first.port)
        with pytest.raises(OSError, match="in use"):
            second.start()
        second.close()


def test_starting_twice_and_asking_too_early_are_refused() -> None:
    upstream = FakeUpstream(tls=False)
    with pytest.raises(RuntimeError, match="start"):
        _ = upstream.url
    assert repr(upstream) == "<FakeUpstream not started [0 requests, 0 open connections]>"
    with upstream, pytest.raises(RuntimeError, match="already started"):
        upstream.start()
