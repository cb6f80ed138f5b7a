"""HTTP/1.1 as `llm-mesh serve` speaks it itself, straight into the mesh."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.adapters.wire import CHAT, Client, Connect, request_bytes
from tests.conftest import DASHSCOPE, Providers

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
STREAM = [EVENT, b"data: [DONE]\n\n"]
STREAMING = CHAT.replace(b"{", b'{"stream": true, ', 1)


@pytest.fixture
def client(mesh_on: Callable[..., int], connect: Connect) -> Client:
    return connect(mesh_on("serve"))


def old(data: bytes) -> bytes:
    return data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)


def test_every_reply_has_a_date(client: Client) -> None:
    date = client.ask(request_bytes(DASHSCOPE)).header("date")
    assert date is not None
    assert date.endswith("GMT")


def test_requests_that_come_together_are_answered_in_their_order(
    client: Client, providers: Providers
) -> None:
    providers.dashscope.always(lambda request: Answer(body=request.json()))
    bodies = [CHAT.replace(b"Good morning", b"Number %d" % number) for number in range(5)]
    client.send(b"".join(request_bytes(DASHSCOPE, body) for body in bodies))
    for number in range(5):
        assert f"Number {number}" in client.read().body.decode()


def test_a_request_of_http_1_0_gets_a_stream_that_ends_with_its_connection(
    client: Client, providers: Providers
) -> None:
    providers.dashscope.always(Stream(STREAM))
    client.send(old(request_bytes(DASHSCOPE, STREAMING)))
    response = client.read()
    assert (response.status, response.header("connection")) == (200, "close")
    assert response.header("transfer-encoding") is None
    assert response.body == b"".join(STREAM)


def test_a_value_that_looks_like_a_field_does_not_frame_a_reply(
    client: Client, providers: Providers
) -> None:
    odd = {
        "x-request-id": "content-length: 7, connection: close",
        "x-ratelimit-content-length": "3",
    }
    headers = [("content-type", "text/event-stream"), *odd.items()]
    providers.dashscope.always(Stream(STREAM, headers=headers))
    for _ in range(2):
        response = client.ask(request_bytes(DASHSCOPE, STREAMING))
        assert response.header("transfer-encoding") == "chunked"
        assert {name: response.header(name) for name in odd} == odd
        assert response.body == b"".join(STREAM)


def test_a_whole_reply_to_http_1_0_ends_its_connection(client: Client) -> None:
    client.send(old(request_bytes(DASHSCOPE)))
    response = client.read()
    assert response.status == 200
    assert response.header("connection") == "close"
    assert client.is_closed()


def test_a_client_that_asks_for_it_is_closed_after_its_reply(client: Client) -> None:
    response = client.ask(request_bytes(DASHSCOPE, CHAT, "Connection: close"))
    assert response.header("connection") == "close"
    assert client.is_closed()


def test_a_reply_to_head_has_no_body(client: Client) -> None:
    client.send(request_bytes(DASHSCOPE, b"", method="HEAD"))
    head = client.read_head()
    assert head.status == 405
    assert head.header("content-length") != "0"
    assert client.ask(request_bytes(DASHSCOPE)).status == 200


def test_a_refusal_of_a_client_that_waits_for_100_ends_its_connection(
    mesh_on: Callable[..., int], connect: Connect
) -> None:
    client = connect(mesh_on("serve", max_request_bytes=100))
    fields = f"POST / HTTP/1.1\r\nHost: {DASHSCOPE}\r\nExpect: 100-continue\r\n"
    client.send(f"{fields}Content-Length: 101\r\n\r\n".encode())
    response = client.read()
    assert (response.status, response.header("connection")) == (413, "close")
    assert client.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"POST /v1/chat/completions HTTP/9.9\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request_is_400_and_ends_the_connection(client: Client, data: bytes) -> None:
    client.send(data)
    assert client.read().status == 400
    assert client.is_closed()


@pytest.mark.parametrize("size", [1, 7, 300])
def test_a_request_may_come_in_pieces_of_any_size(client: Client, size: int) -> None:
    data = request_bytes(DASHSCOPE)
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    assert client.read().status == 200


CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/json\r\n\r\n%x\r\n%b\r\n0\r\nX-Trailer: a\r\nHost: b\r\n\r\n"
) % (DASHSCOPE.encode(), len(CHAT), CHAT)


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_trailers_are_no_fields_of_their_request_nor_of_the_next(
    client: Client, providers: Providers, size: int
) -> None:
    data = CHUNKED + request_bytes(DASHSCOPE) + CHUNKED
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    assert [client.read().status for _ in range(3)] == [200] * 3
    for request in providers.dashscope.requests:
        assert "x-trailer" not in {name.lower() for name, _ in request.headers}
        assert request.json()["messages"]


def test_a_body_that_breaks_off_where_its_head_came_is_not_sent(
    client: Client, providers: Providers
) -> None:
    client.send(CHUNKED.replace(b"\r\n0\r\n", b"\r\nx\r\n"))
    assert client.read().status == 400
    assert client.is_closed()
    assert not providers.requests


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQBAAAA")


@pytest.mark.parametrize("size", [3, 50, 10_000])
def test_a_wish_for_http_2_is_ignored_also_with_a_body(
    client: Client, providers: Providers, size: int
) -> None:
    data = request_bytes(DASHSCOPE, CHAT, *H2C)
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    assert client.read().status == 200
    assert client.ask(request_bytes(DASHSCOPE)).status == 200
    first, second = providers.dashscope.requests
    assert first.json() == second.json()


def test_a_wish_for_http_2_that_is_pipelined_keeps_the_order(client: Client) -> None:
    data = request_bytes(DASHSCOPE, CHAT, *H2C)
    client.send(data + request_bytes(DASHSCOPE, b"{") + data)
    assert [client.read().status for _ in range(3)] == [200, 400, 200]


def test_a_wish_for_http_2_may_close_the_connection(client: Client) -> None:
    fields = ("Connection: Upgrade, HTTP2-Settings, close", *H2C[1:])
    response = client.ask(request_bytes(DASHSCOPE, CHAT, *fields))
    assert (response.status, response.header("connection")) == (200, "close")
    assert client.is_closed()


def test_a_web_socket_is_not_found_on_a_virtual_host(client: Client) -> None:
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    assert client.ask(request_bytes(DASHSCOPE, b"", *lines, method="GET")).status == 405
