"""Clients are told when a provider gives no response, or half of one."""

from __future__ import annotations

import gzip
import time

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Drip,
    FakeUpstream,
    Raw,
    Scripted,
    Stream,
)
from tests.adapters.meshes import mesh_for
from tests.adapters.wire import STREAMED_CHAT, Connect, request_bytes
from tests.conftest import DASHSCOPE, Providers, Serve
from tests.faults.upstream_failures import BODIES, GZIP, JSON, LIMIT, WHOLE, Ask, MeshOn

FIRST_BYTE_S = 0.2


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
        assert 0.15 < time.monotonic() - started < 20
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
    assert FIRST_BYTE_S - 0.02 < taken_s < FIRST_BYTE_S + 5
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
    assert time.monotonic() - started < 8


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
