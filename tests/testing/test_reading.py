"""Requests in every legal form are read, and what is ambiguous is refused."""

from __future__ import annotations

import pytest

from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.testing.clients import Connect, read_all, read_until, request_bytes

CLOSE = b"connection: close\r\n\r\n"


def test_head_gets_the_length_and_no_body(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.script(Answer(body=b"12345"))
    sock = connect()
    sock.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert read_all(sock) == (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n" + CLOSE, "fin")


def test_http_1_0_closes_after_the_answer(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.script(Answer())
    sock = connect()
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")

    assert read_all(sock) == (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + CLOSE, "fin")


def test_a_body_in_chunks_is_read_in_any_split(upstream: FakeUpstream, connect: Connect) -> None:
    upstream.always(Answer(body=b"ok"))
    data = (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\none\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
    )
    whole, dripped = connect(), connect()
    whole.sendall(data)
    read_until(whole, b"ok")
    for byte in data:
        dripped.send(bytes([byte]))
    read_until(dripped, b"ok")

    assert [request.body for request in upstream.requests] == [b"one0123456789"] * 2


def test_requests_sent_at_once_are_answered_in_turn(
    upstream: FakeUpstream, connect: Connect
) -> None:
    upstream.script(Answer(body=b"1!"), Answer(body=b"2!"))
    sock = connect()
    sock.sendall(request_bytes() * 2)

    received = read_until(sock, b"2!")
    assert received.index(b"1!") < received.index(b"2!")


def test_100_continue_is_said_before_the_body_is_read(
    upstream: FakeUpstream, connect: Connect
) -> None:
    sock = connect()
    sock.sendall(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
    assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(b"{}")

    assert upstream.wait_for_requests(1)[0].body == b"{}"


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\none\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\none\r\n0\r\n\r\n",
    ],
)
def test_an_ambiguous_request_is_refused_and_not_recorded(
    upstream: FakeUpstream, connect: Connect, data: bytes
) -> None:
    sock = connect()
    sock.sendall(data)
    received, _ = read_all(sock)

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close\r\n" in received
    assert upstream.requests == []
