"""What a client is told when a provider gives no answer, half of one, or an error."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Drip,
    FakeUpstream,
    Gate,
    Raw,
    Scripted,
    Stream,
    chat_completion,
    error_body,
)
from tests.adapters.meshes import mesh_for
from tests.adapters.wire import CHAT, STREAMED_CHAT, Connect, Response, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers, Serve

MeshOn = Callable[..., int]
Ask = Callable[..., Response]

FIRST_BYTE_S = 0.2
LIMIT = 100_000


@pytest.fixture
def ask(mesh_on: MeshOn, connect: Connect, kind: str) -> Ask:
    """Ask a mesh that takes short answers only; nothing it says may show too much."""

    def ask(body: bytes = CHAT, **settings: object) -> Response:
        port = mesh_on(kind, max_response_bytes=LIMIT, **settings)
        response = connect(port).ask(request_bytes(DASHSCOPE, body))
        assert DASHSCOPE_KEY not in repr(response)
        assert b"127.0.0.1" not in response.body
        return response

    return ask


BODIES = pytest.mark.parametrize("body", [CHAT, STREAMED_CHAT], ids=["whole", "streamed"])

WHOLE = json.dumps(chat_completion("x" * 200)).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

NO_ANSWER: dict[str, Scripted] = {
    "closed before headers": Cut(),
    "reset before headers": Cut(how="reset"),
    "closed within the headers": Cut(after=20),
    "reset within the headers": Cut(after=20, how="reset"),
    "no HTTP": Raw(b"220 mail.example ESMTP\r\n"),
    "no status": Raw(b"HTTP/1.1 \r\n\r\n"),
    "a switch of protocols": Raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
}


@BODIES
@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
def test_no_answer_is_502(ask: Ask, providers: Providers, answer: Scripted, body: bytes) -> None:
    providers.dashscope.always(answer)
    response = ask(body)

    assert response.status == 502
    error = response.error()
    assert error["code"] in ("upstream_connect_error", "upstream_protocol_error")
    assert error["type"] == "upstream_error"
    assert DASHSCOPE in error["message"]


def test_a_refused_connection_is_502(
    serve: Serve, connect: Connect, providers: Providers, patient: tuple[str, ...], kind: str
) -> None:
    with FakeUpstream(tls=False) as closed:
        endpoint = closed.url
    settings = providers.settings(config=patient, endpoints={DASHSCOPE: endpoint})
    port = serve(mesh_for(kind, settings=settings), kind)
    response = connect(port).ask(request_bytes(DASHSCOPE))

    assert response.status == 502
    error = response.error()
    assert error["code"] == "upstream_connect_error"
    assert DASHSCOPE in error["message"]
    assert endpoint.rpartition(":")[2] not in error["message"]
    assert connect(port).ask(request_bytes("app.example")).status == 200


def test_a_name_that_does_not_exist_is_502(
    serve: Serve, connect: Connect, providers: Providers, patient: tuple[str, ...], kind: str
) -> None:
    endpoints = {DASHSCOPE: "http://no-such-host.invalid:1"}
    settings = providers.settings(config=patient, endpoints=endpoints)
    client = connect(serve(mesh_for(kind, settings=settings), kind))
    response = client.ask(request_bytes(DASHSCOPE))

    assert response.status == 502
    assert response.error()["code"] == "upstream_connect_error"
    assert "no-such-host" not in response.error()["message"]


def test_a_connection_that_does_not_come_about_is_504(
    serve: Serve, connect: Connect, providers: Providers, patient: tuple[str, ...], kind: str
) -> None:
    with FakeUpstream(host_names=DASHSCOPE, mute=True) as mute:
        settings = providers.settings(
            config=patient, endpoints={DASHSCOPE: mute.url}, connect_timeout=0.2
        )
        client = connect(serve(mesh_for(kind, settings=settings), kind))
        started = time.monotonic()
        response = client.ask(request_bytes(DASHSCOPE))

        assert response.status == 504
        assert response.error()["code"] == "upstream_timeout"
        assert "connection" in response.error()["message"]
        assert 0.15 < time.monotonic() - started < 4
        assert mute.wait_closed()


SLOW: dict[str, Scripted] = {
    "silence": Cut(how="stall"),
    "silence after half the headers": Cut(after=20, how="stall"),
    "dripped headers": Drip(interval=0.02),  # for seven seconds, if they were let
    "headers and no body": Stream([], end="stall"),
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_a_stream_whose_first_byte_does_not_come_in_time_is_504(
    ask: Ask, providers: Providers, answer: Scripted
) -> None:
    providers.dashscope.always(answer)
    started = time.monotonic()
    response = ask(STREAMED_CHAT, first_byte_timeout=FIRST_BYTE_S)
    taken_s = time.monotonic() - started

    assert response.status == 504
    error = response.error()
    assert (error["code"], error["type"]) == ("upstream_timeout", "upstream_error")
    assert "first byte" in error["message"]
    assert f"{FIRST_BYTE_S:g} s" in error["message"]
    assert FIRST_BYTE_S - 0.02 < taken_s < FIRST_BYTE_S + 2
    assert all(request.wait_disconnected() for request in providers.requests)


def test_a_body_that_stops_in_the_middle_is_504(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    providers.dashscope.always(Cut(Answer(body=WHOLE), at=0.8, how="stall"))
    client = connect(mesh_on(kind, idle_timeout=0.2))
    response = client.ask(request_bytes(DASHSCOPE))

    assert response.status == 504
    assert response.error()["code"] == "upstream_timeout"
    assert providers.requests[-1].wait_disconnected()


def test_an_answer_dripped_for_too_long_is_504(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    providers.dashscope.always(Stream([b" "] * 1000, pause=0.01))
    client = connect(mesh_on(kind, request_timeout=0.3))
    started = time.monotonic()
    response = client.ask(request_bytes(DASHSCOPE))

    assert response.status in (502, 504)
    assert "choices" not in response.body.decode()
    assert time.monotonic() - started < 2


JSON = [("content-type", "application/json")]
GZIP = [*JSON, ("content-encoding", "gzip")]

HALF: dict[str, Scripted] = {
    "half a JSON": Answer(headers=JSON, body=WHOLE[:-40]),
    "a length too long": Answer(
        headers=[*JSON, ("content-length", str(len(WHOLE) + 9))], body=WHOLE
    ),
    "a length too short": Answer(headers=[*JSON, ("content-length", "50")], body=WHOLE),
    "closed in the body": Cut(Answer(body=WHOLE), at=0.7),
    "reset in the body": Cut(Answer(body=WHOLE), at=0.7, how="reset"),
    "no last chunk": Stream([WHOLE], headers=JSON, end="fin"),
    "a bad chunk": Stream([WHOLE], headers=JSON, end="bad_chunk"),
    "HTML": Answer(headers=[("content-type", "text/html")], body="<h1>Welcome</h1>"),
    "text as JSON": Answer(headers=JSON, body="hello"),
    "nothing": Answer(headers=JSON),
    "two answers": Answer(headers=JSON, body=WHOLE + WHOLE),
    "not UTF-8": Answer(headers=JSON, body=b'{"a":"\xff\xfe'),
    "100,000 brackets": Answer(headers=JSON, body=b"[" * (LIMIT - 10)),
    "no gzip": Answer(headers=GZIP, body=WHOLE),
    "half a gzip": Answer(headers=GZIP, body=gzip.compress(WHOLE)[:-20]),
    "a corrupt gzip": Answer(
        headers=GZIP, body=gzip.compress(WHOLE)[:30] + b"\0" * 30 + gzip.compress(WHOLE)[60:]
    ),
    "a long JSON": Answer(headers=JSON, body=b'"' + b"x" * LIMIT + b'"'),
    "an endless JSON": Stream([b'"' + b"x" * 1000] * 2000, headers=JSON, end="stall"),
    "a gzip bomb": Answer(headers=GZIP, body=gzip.compress(b'"' + bytes(10**7) + b'"')),
    "a header of 64 KB": Answer(headers=[*JSON, ("x-long", "x" * 65_536)], body=WHOLE),
    "10,000 headers": Answer(headers=[*JSON, *[("x-many", "x" * 50)] * 10_000], body=WHOLE),
    "a length that is no number": Answer(headers=[*JSON, ("content-length", "x")], body=WHOLE),
    "two lengths": Answer(
        headers=[*JSON, ("content-length", "5"), ("content-length", "6")], body=WHOLE
    ),
}


@pytest.mark.parametrize("answer", HALF.values(), ids=HALF)
def test_a_broken_200_is_502(ask: Ask, providers: Providers, answer: Scripted) -> None:
    providers.dashscope.always(answer)
    response = ask()

    assert response.status == 502
    assert response.error()["code"] in ("upstream_protocol_error", "upstream_connect_error")
    assert DASHSCOPE in response.error()["message"]
    providers.dashscope.clear()
    assert ask().status == 200


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
        assert time.monotonic() - started < 2
    finally:
        gate.open()
    assert {client.read().status for client in waiting} == {200}
