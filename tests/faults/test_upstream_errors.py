"""Errors of providers reach clients whole but for our keys, and a dead one holds up nobody."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Gate,
    Raw,
    Scripted,
    chat_completion,
    error_body,
)
from tests.adapters.wire import CHAT, STREAMED_CHAT, Connect, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers
from tests.faults.upstream_failures import BODIES, GZIP, JSON, WHOLE, Ask, MeshOn

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


# Later than anybody would wait: what is under test here is not the waiting.
LIMITS = [
    ("retry-after", "86400"),
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-remaining-tokens", "0"),
    ("x-ratelimit-reset-requests", "6m0s"),
    ("x-request-id", "req-7"),
]


ODD_ERROR = b'{ "error" : {"message":"No \\u00fc", "code": 4711, "more":[1.0]},"x": 1 }'


@BODIES
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503])
def test_an_error_of_the_provider_passes_unchanged(
    ask: Ask, providers: Providers, status: int, body: bytes
) -> None:
    providers.dashscope.always(Answer(status, [*JSON, *LIMITS], ODD_ERROR))
    response = ask(body)

    assert (response.status, response.body) == (status, ODD_ERROR)
    assert set(LIMITS) < set(response.headers)
    assert response.header("content-type") == "application/json"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_an_error_that_is_the_clients_own_is_not_tried_again(
    ask: Ask, providers: Providers, status: int
) -> None:
    providers.dashscope.always(Answer(status, body=error_body("No")))
    ask()

    assert len(providers.requests) == 1


UNSHAPED = {
    "HTML": Answer(404, [("content-type", "text/html")], "<h1>Not found</h1>"),
    "nothing": Answer(404, [("retry-after", "86400")]),
    "text": Answer(404, body="no"),
    "half a list": Answer(404, JSON, "[1"),
    "not UTF-8": Answer(404, JSON, b'{"error":"\xff"}'),
    "half a JSON": Answer(404, JSON, '{"error":{"mess'),
}


@pytest.mark.parametrize("answer", UNSHAPED.values(), ids=UNSHAPED)
def test_an_error_without_the_shape_gets_it(ask: Ask, providers: Providers, answer: Answer) -> None:
    providers.dashscope.always(answer)
    response = ask()

    assert response.status == 404
    error = response.error()
    assert error["type"] == "upstream_error"
    assert "404" in error["message"]
    assert "<h1>" not in error["message"]
    assert response.header("retry-after") == dict(answer.headers).get("retry-after")


LEAKS: dict[str, Callable[[bytes], Scripted]] = {
    "in the message": lambda key: Answer(401, body=error_body(f"Bad key {key.decode()}")),
    "in a field": lambda key: Answer(400, [("x-echo", f"Bearer {key.decode()}")], error_body("no")),
    "in HTML": lambda key: Answer(403, body=b"<p>" + key + b"</p>"),
    "compressed": lambda key: Answer(
        401, GZIP, gzip.compress(json.dumps(error_body(f"Bad key {key.decode()}")).encode())
    ),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_an_error_that_repeats_our_key_is_cleaned(
    ask: Ask, providers: Providers, leak: Callable[[bytes], Scripted]
) -> None:
    providers.dashscope.always(leak(DASHSCOPE_KEY.encode()))
    response = ask()

    text = response.body
    if response.header("content-encoding") == "gzip":
        text = gzip.decompress(text)
    assert response.status in (400, 401, 403)
    assert DASHSCOPE_KEY not in json.dumps(json.loads(text))
    assert DASHSCOPE_KEY not in repr(response.headers)


ODD_FIELDS = {
    "control characters": b"x-odd: a\x01b\x7f",
    "bytes above ASCII": "x-odd: ä".encode(),
    "latin-1": b"x-odd: \xe4",
    "an empty value": b"x-odd:",
    "an odd name": b"x(odd): a",
    "a long status text": b"x-odd: " + b"y" * 5000,
}


@pytest.mark.parametrize("line", ODD_FIELDS.values(), ids=ODD_FIELDS)
def test_an_odd_field_of_a_provider_does_no_harm(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, line: bytes
) -> None:
    length = b"content-length: %d\r\n\r\n" % len(WHOLE)
    providers.dashscope.always(Raw(HEAD + line + b"\r\n" + length + WHOLE))
    response = connect(mesh_on(server)).ask(request_bytes(DASHSCOPE))

    assert response.status in (200, 502)
    if response.status == 502:
        assert response.error()["code"] == "upstream_protocol_error"
    else:
        assert response.body == WHOLE


@pytest.mark.parametrize("status", [201, 202, 206, 299, 418, 499, 520, 599])
def test_an_unusual_status_passes(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, status: int
) -> None:
    body = error_body("odd") if status >= 400 else json.loads(WHOLE)
    providers.dashscope.always(Answer(status, body=body))
    response = connect(mesh_on(server)).ask(request_bytes(DASHSCOPE))

    assert response.status == status
    assert response.json() == body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "Provider returned error", "code": 502}, 502),
        ({"message": "slow down", "code": 429}, 429),
        ({"message": "slow down", "code": "429"}, 429),
        ({"message": "no", "type": "invalid_request_error", "code": None}, 400),
        ({"message": "no", "code": 200}, 502),
        ({"message": "no"}, 502),
        ("overloaded", 502),
    ],
)
def test_an_error_object_under_200_has_the_status_that_its_code_means(
    mesh_on: MeshOn,
    connect: Connect,
    providers: Providers,
    server: str,
    error: object,
    status: int,
) -> None:
    body = {"error": error, "user_id": "u"}
    for answer in (
        Answer(200, body=body),
        Answer(200, [("content-type", "text/event-stream")], f"data: {json.dumps(body)}\n\n"),
    ):
        providers.dashscope.always(answer)
        for asked in (CHAT, STREAMED_CHAT):
            response = connect(mesh_on(server)).ask(request_bytes(DASHSCOPE, asked))

            assert (response.status, response.json()) == (status, body)
            assert response.header("content-type") == "application/json"


@pytest.mark.parametrize("status", [600, 700, 999])
def test_a_status_that_is_none_is_502(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, status: int
) -> None:
    providers.dashscope.always(Answer(status, body=error_body("odd")))
    response = connect(mesh_on(server)).ask(request_bytes(DASHSCOPE))

    assert response.status == 502
    assert response.error()["code"] == "upstream_protocol_error"


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_kept_connection_that_died_is_replaced_unseen(
    ask: Ask, providers: Providers, how: str
) -> None:
    for _ in range(3):
        assert ask().status == 200
        providers.dashscope.drop_connections(how)

    assert len(providers.requests) == 3


def test_a_dead_provider_holds_up_nobody_else(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    gate = Gate()
    providers.dashscope.script(*[Answer(body=chat_completion(), delay=gate)] * 20)
    port = mesh_on(kind)
    waiting = [connect(port) for _ in range(20)]
    for client in waiting:
        client.send(request_bytes(DASHSCOPE))
    providers.dashscope.wait_for_requests(20)
    try:
        started = time.monotonic()
        assert connect(port).ask(request_bytes("app.example")).status == 200
        assert connect(port).ask(request_bytes(DASHSCOPE)).status == 200
        assert time.monotonic() - started < 20
    finally:
        gate.open()
    assert {client.read().status for client in waiting} == {200}
