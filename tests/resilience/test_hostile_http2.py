"""One client that misuses HTTP/2 under hypercorn, beside one that calls by HTTP/1.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    RecordedRequest,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.adapters.meshes import own_app
from tests.adapters.wire import Client, request_bytes
from tests.conftest import running
from tests.resilience.http2 import Http2Client
from tests.resilience.meshes import HOST, PRIMARY, provider, route

SOUND = Answer(body=chat_completion("Good morning"))
LONG = Stream(chat_stream(["x" * 1000] * 500))
PROVOKED: dict[bytes, Scripted] = {
    b"hostile 500": Answer(500, body=error_body("boom")),
    b"hostile 429": Answer(429, body=error_body("too many tokens")),
    b"hostile stall": Cut(how="stall"),
    b"hostile long": LONG,
}
ROUNDS = 4


def answer(request: RecordedRequest) -> Scripted:
    """Answer the hostile client as its content asks for, everybody else well."""
    return next((made for text, made in PROVOKED.items() if text in request.body), SOUND)


@contextmanager
def mesh_under_hypercorn(primary: FakeUpstream, first_byte_s: float) -> Iterator[int]:
    primary.always(answer)
    settings = MeshSettings(first_byte_timeout=first_byte_s)
    retries = {"retry": {"attempts": 1, "backoff": "1ms"}}
    mesh = Mesh([provider("primary", primary), route(PRIMARY, **retries)], settings=settings)
    with running(LLMMeshMiddleware(own_app, mesh=mesh), "hypercorn") as port:
        yield port


def provokes(content: str, status: int, *, stream: bool = False) -> Callable[[int, int], None]:
    def attack(port: int, turn: int) -> None:
        with Http2Client(port) as client:
            asked = [client.ask(HOST, f"{content} {turn} {n}", stream=stream) for n in range(4)]
            assert {client.end(number) for number in asked} == {status}

    return attack


def sends_fields_that_http_1_cannot_carry(port: int, turn: int) -> None:
    with Http2Client(port) as client:
        asked = [client.ask(HOST, f"{turn} {n}", (b"x-stainless-(", b"%d" % n)) for n in range(4)]
        for number in asked:
            client.end(number)


def sends_fields_with_line_ends(port: int, turn: int) -> None:
    with Http2Client(port) as client:
        client.end(client.ask(HOST, f"{turn}", (b"x-stainless-os", b"a\r\nhost: b")))


def takes_back_every_request(port: int, turn: int) -> None:
    with Http2Client(port) as client:
        for number in range(50):
            client.reset(client.ask(HOST, f"hostile long {turn} {number}", stream=True))
        client.end(client.ask(HOST, "the last"))


def takes_nothing_of_a_stream(port: int, turn: int) -> None:
    with Http2Client(port, window=0) as client:
        asked = [client.ask(HOST, f"hostile long {turn} {n}", stream=True) for n in range(4)]
        assert {client.status(number) for number in asked} == {200}
        ask(port)  # while they hold what they have


def sends_half_a_body(port: int, turn: int) -> None:
    with Http2Client(port) as client:
        for number in range(4):
            client.ask(HOST, f"{turn} {number}", ends=False)
        ask(port)


def ask(port: int) -> None:
    """A call of the good client."""
    with Client(port) as client:
        response = client.ask(request_bytes(HOST))
    assert response.status == 200, response.body


ATTACKS: dict[str, Callable[[int, int], None]] = {
    "500": provokes("hostile 500", 500),
    "429": provokes("hostile 429", 429),
    "a stall": provokes("hostile stall", 504, stream=True),
    "odd fields": sends_fields_that_http_1_cannot_carry,
    "line ends in fields": sends_fields_with_line_ends,
    "resets": takes_back_every_request,
    "no window": takes_nothing_of_a_stream,
    "half a body": sends_half_a_body,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_good_client_is_served_whatever_another_does_with_http_2(
    primary: FakeUpstream, attack: Callable[[int, int], None]
) -> None:
    first_byte_s = 0.1 if attack is ATTACKS["a stall"] else 30.0
    with mesh_under_hypercorn(primary, first_byte_s) as port:
        for turn in range(ROUNDS):
            attack(port, turn)
            ask(port)
        ask(port)
