"""Ambiguous framing never reaches an upstream, nor does what is hidden in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.adapters.wire import CHAT, Connect, request_bytes
from tests.conftest import DASHSCOPE, Providers
from tests.faults.conftest import ASGI

MeshOn = Callable[..., int]

HIDDEN = request_bytes(DASHSCOPE, b'{"messages":[{"role":"user","content":"hidden"}]}')
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CHAT), CHAT)
N = len(CHAT)


def message(*lines: str, body: bytes = CHAT) -> bytes:
    head = "\r\n".join(["POST / HTTP/1.1", f"Host: {DASHSCOPE}", *lines, "", ""])
    return head.encode("latin-1") + body


AMBIGUOUS = {
    "a length and chunks": message(
        f"Content-Length: {N}", "Transfer-Encoding: chunked", body=CHUNKED
    ),
    "chunks and a length": message(
        "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n" + HIDDEN
    ),
    "a length of nothing and chunks": message(
        "Content-Length: 0", "Transfer-Encoding: chunked", body=CHUNKED + HIDDEN
    ),
    "two lengths": message(f"Content-Length: {N}", "Content-Length: 5"),
    "two lengths, the first short": message("Content-Length: 0", f"Content-Length: {N}"),
    "a list of lengths": message(f"Content-Length: 5, {N}"),
    "a signed length": message(f"Content-Length: +{N}"),
    "a negative length": message("Content-Length: -1"),
    "a hexadecimal length": message("Content-Length: 0x10"),
    "a length with a space": message("Content-Length: 1 0"),
    "a length that is a word": message("Content-Length: many"),
    "an unknown coding": message("Transfer-Encoding: xchunked", body=CHUNKED),
    "a coding after chunked": message("Transfer-Encoding: chunked, identity", body=CHUNKED),
    "a chunk without a size": message("Transfer-Encoding: chunked", body=b"x\r\n" + CHAT),
    "a negative chunk": message("Transfer-Encoding: chunked", body=b"-1\r\n" + CHAT),
    "a space before the colon": message(f"Content-Length : {N}"),
    "a line without a colon": message("Content-Length", f"Content-Length: {N}"),
    "a zero byte in a field": message(f"Content-Length: {N}", "X-Odd: a\0b"),
}


@ASGI
@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_its_connection_closed(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, data: bytes
) -> None:
    client = connect(mesh_on(server))
    client.send(data)
    response = client.read()

    assert response.status in (400, 413, 501, 505)
    assert client.is_closed()
    assert not providers.requests


def test_a_length_sent_twice_alike_smuggles_nothing(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    client = connect(mesh_on(server))
    client.send(message(f"Content-Length: {N}", f"Content-Length: {N}"))

    # One server makes one of the two, as RFC 9112 6.3 allows.
    assert client.read().status in (200, 400)
    assert len(providers.requests) <= 1


def test_a_request_in_a_body_is_a_body(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    client = connect(mesh_on(server))
    client.send(message(f"Content-Length: {len(HIDDEN)}", body=HIDDEN))

    assert client.read().error()["code"] == "invalid_json"
    assert not providers.requests


@ASGI
def test_pipelined_requests_are_answered_in_turn(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    client = connect(mesh_on(server))
    client.send(request_bytes(DASHSCOPE) + HIDDEN + request_bytes("app.example"))
    answers = [client.read() for _ in range(3)]

    said = [answer.json()["choices"][0]["message"]["content"] for answer in answers[:2]]
    assert said == ["You said: Good morning to you", "You said: hidden"]
    assert answers[2].body == b"from the application"
    assert len(providers.requests) == 2
