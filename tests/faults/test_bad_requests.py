"""Requests that cannot be served: the right error object, nothing upstream, the server unharmed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator

import pytest

from tests.adapters.wire import CHAT, Client, Connect, Response, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers
from tests.faults.conftest import ASGI

MeshOn = Callable[..., int]
Ask = Callable[[bytes], Response]

LIMIT = 2000
ONE_OF_EACH = pytest.mark.parametrize("server", ["uvicorn-httptools", "wsgiref"])


@pytest.fixture
def port(mesh_on: MeshOn, server: str) -> int:
    return mesh_on(server, max_request_bytes=LIMIT * 100)


@pytest.fixture
def small(mesh_on: MeshOn, server: str) -> int:
    """The port of a mesh that takes short bodies only."""
    return mesh_on(server, max_request_bytes=LIMIT)


@pytest.fixture(autouse=True)
def _unharmed(port: int, connect: Connect, providers: Providers) -> Iterator[None]:
    """After each test: nothing went upstream, and a good request is still served."""
    yield
    assert not providers.requests
    assert connect(port).ask(request_bytes(DASHSCOPE)).status == 200


BODIES: dict[str, tuple[bytes, str]] = {
    "malformed": (b'{"messages": [', "invalid_json"),
    "no JSON": (b"messages=hello", "invalid_json"),
    "an array": (b'[{"messages": []}]', "invalid_json"),
    "a string": (b'"hello"', "invalid_json"),
    "null": (b"null", "invalid_json"),
    "nothing": (b"", "invalid_json"),
    "white space": (b" \r\n\t ", "invalid_json"),
    "two objects": (b"{}{}", "invalid_json"),
    "100,000 brackets": (b"[" * 100_000, "invalid_json"),
    "100,000 brackets in a member": (b'{"messages":' + b"[" * 100_000, "invalid_json"),
    "100,000 closed brackets": (b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "invalid_json"),
    "100,000 objects": (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "invalid_json"),
    "5,000 digits": (b'{"max_tokens": ' + b"9" * 5000 + b"}", "invalid_json"),
    "invalid UTF-8": (b'{"messages": "\xff\xfe"}', "invalid_json"),
    "half a character": (b'{"messages": "\xe4"}', "invalid_json"),
    "UTF-16": ('{"messages": []}'.encode("utf-16")[2:], "invalid_json"),
    "not a number in lower case": (b'{"temperature": nan}', "invalid_json"),
    "a zero byte": (b'{"a": "\0"}', "invalid_json"),
}


@ONE_OF_EACH
@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_json_object_is_400_soon(
    port: int, connect: Connect, body: bytes, code: str
) -> None:
    started = time.monotonic()
    response = connect(port).ask(request_bytes(DASHSCOPE, body))

    assert time.monotonic() - started < 10
    assert response.status == 400
    error = response.error()
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert len(response.body) < 500
    assert DASHSCOPE_KEY not in repr(response)


@ASGI
def test_a_bad_body_leaves_its_connection_usable(
    port: int, connect: Connect, providers: Providers
) -> None:
    client = connect(port)
    assert client.ask(request_bytes(DASHSCOPE, b"{")).status == 400
    assert client.ask(request_bytes(DASHSCOPE)).status == 200
    assert len(providers.requests) == 1
    providers.dashscope.clear()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_another_method_on_chat_is_405_with_allow(port: int, connect: Connect, method: str) -> None:
    response = connect(port).ask(request_bytes(DASHSCOPE, method=method))

    if method == "BREW" and response.status in (400, 500):
        return  # the server's own parser or wsgiref's validator knows no such method
    assert response.status == 405
    assert response.header("allow") == "POST"
    assert response.error()["code"] == "method_not_allowed"


def test_another_method_on_models_is_405_with_allow(port: int, connect: Connect) -> None:
    response = connect(port).ask(request_bytes(DASHSCOPE, target="/v1/models"))

    assert (response.status, response.header("allow")) == (405, "GET")


@pytest.mark.parametrize("path", ["/v1/files", "/healthz", "/v1/chat/completions//", "/v1"])
def test_a_path_that_is_no_operation_is_404(port: int, connect: Connect, path: str) -> None:
    response = connect(port).ask(request_bytes(DASHSCOPE, target=path))

    assert response.status == 404
    assert response.error()["code"] == "unsupported_operation"


CODINGS = ("gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x-unknown")


@ONE_OF_EACH
@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_body_is_415(port: int, connect: Connect, coding: str) -> None:
    bomb = gzip.compress(bytes(1_000_000))
    response = connect(port).ask(request_bytes(DASHSCOPE, bomb, f"Content-Encoding: {coding}"))

    assert response.status == 415
    assert response.error()["code"] == "unsupported_content_encoding"


def head(*lines: str) -> bytes:
    first = ("POST / HTTP/1.1", f"Host: {DASHSCOPE}", "Content-Type: application/json")
    return "\r\n".join([*first, *lines, "", ""]).encode()


def assert_too_large(client: Client) -> None:
    """The very next answer is 413, not even an interim one before it, and then the end."""
    first = client.read_head()
    assert first.status == 413
    body = b"".join(client.read_body(first))
    assert Response(413, first.headers, body).error()["code"] == "request_too_large"
    assert client.is_closed()


@pytest.mark.parametrize("length", [LIMIT + 1, 10**12, 10**17])
def test_a_long_body_is_413_before_it_is_sent(small: int, connect: Connect, length: int) -> None:
    client = connect(small)
    client.send(head(f"Content-Length: {length}"))

    assert_too_large(client)


@pytest.mark.parametrize("server", ["uvicorn-h11", "uvicorn-httptools"])
def test_a_long_body_is_not_asked_for(small: int, connect: Connect) -> None:
    # hypercorn says 100 by itself, before the application is called.
    client = connect(small)
    client.send(head(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))

    assert_too_large(client)


@ASGI
def test_a_long_chunked_body_is_413_before_its_end(small: int, connect: Connect) -> None:
    client = connect(small)
    client.send(head("Transfer-Encoding: chunked"))
    for _ in range(5):
        client.send(b"1f4\r\n" + b" " * 500 + b"\r\n")  # 500 bytes

    assert_too_large(client)


@ASGI
def test_a_long_chunked_body_that_waits_for_100_is_413(small: int, connect: Connect) -> None:
    client = connect(small)
    client.send(head("Transfer-Encoding: chunked", "Expect: 100-continue"))
    assert client.read_head().status == 100
    client.send(b"7d1\r\n" + b" " * (LIMIT + 1) + b"\r\n")

    assert_too_large(client)


def test_a_body_at_the_limit_is_served(small: int, connect: Connect, providers: Providers) -> None:
    response = connect(small).ask(request_bytes(DASHSCOPE, CHAT.ljust(LIMIT)))

    assert response.status == 200
    providers.dashscope.clear()


@ASGI
def test_a_body_that_waits_for_100_is_served(
    small: int, connect: Connect, providers: Providers
) -> None:
    client = connect(small)
    client.send(head(f"Content-Length: {len(CHAT)}", "Expect: 100-continue"))
    assert client.read_head().status == 100
    client.send(CHAT)

    assert client.read().status == 200
    assert [request.header("expect") for request in providers.requests] == [None]
    providers.dashscope.clear()


def test_a_dripped_body_ends_with_408_and_holds_up_nobody(
    mesh_on: MeshOn, connect: Connect, server: str
) -> None:
    port = mesh_on(server, request_timeout=0.3)
    slow = connect(port)
    slow.send(head("Content-Length: 1000"))
    started = time.monotonic()
    served = 0
    while slow.has_nothing(0.02):
        slow.send(b" ")
        assert connect(port).ask(request_bytes("app.example")).status == 200
        served += 1
        assert time.monotonic() - started < 20
    response = slow.read()

    assert response.status == 408
    assert response.error()["code"] == "request_timeout"
    assert slow.is_closed()
    assert time.monotonic() - started >= 0.25
    assert served


def test_a_client_that_leaves_in_its_body_sends_nothing_upstream(
    port: int, connect: Connect, providers: Providers
) -> None:
    client = connect(port)
    client.send(head("Content-Length: 1000") + CHAT)
    client.reset()

    assert connect(port).ask(request_bytes("app.example")).status == 200
    assert providers.requests == []
