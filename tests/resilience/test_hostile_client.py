"""One client that provokes failures, beside one whose calls the provider would answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from llm_mesh_middleware import Mesh
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
from tests.resilience.meshes import ask, provider, route, running

SOUND = Answer(body=chat_completion("Good morning"))
PRIMARY = {"providerHost": "primary.example"}
ATTACKS: dict[str, Scripted] = {
    "500": Answer(500, body=error_body("boom")),
    "503": Answer(503, body=error_body("overloaded")),
    "429": Answer(429, body=error_body("too many tokens")),
    "reset": Cut(how="reset"),
    "torn": Cut(SOUND, at=0.5, how="reset"),
    "not JSON": Answer(body=b"<html>", headers=[("content-type", "application/json")]),
    "an error with 200": Answer(body=error_body("boom", type="server_error")),
    "a torn stream": Cut(Stream(chat_stream(["a", "b"])), at=0.6, how="reset"),
}


def provoked(attack: Scripted) -> Scripted:
    """Answer the hostile client's requests with `attack`, all others well."""

    def answer(request: RecordedRequest) -> Scripted:
        return attack if b"hostile" in request.body else SOUND

    return answer


async def hostile(mesh: Mesh, numbers: Callable[[], int], *, repeats: bool, stream: bool) -> None:
    text = "again" if repeats else f"{numbers()}"
    messages = [{"role": "user", "content": f"hostile {text}"}]
    await ask(mesh, messages=messages, stream=stream)


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_a_good_client_is_served_whatever_another_provokes(
    primary: FakeUpstream, attack: Scripted, repeats: bool
) -> None:
    primary.always(provoked(attack))
    numbers = itertools.count().__next__
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        for _ in range(6):
            calls = [
                hostile(mesh, numbers, repeats=repeats, stream=not repeats and number % 2 == 0)
                for number in range(4)
            ]
            await asyncio.gather(*calls)
            assert (await ask(mesh)).status == 200
        states = {status.state for status in mesh.health().values()}
    assert not repeats or states == {"healthy"}


async def test_a_good_client_is_served_beside_one_whose_header_fields_cannot_be_sent(
    primary: FakeUpstream,
) -> None:
    primary.always(SOUND)
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        for number in range(12):
            await ask(mesh, ("x-stainless-(", f"{number}"))
        assert (await ask(mesh)).status == 200
        assert mesh.health()["primary.example"].state == "healthy"


async def test_a_good_client_is_served_beside_one_that_makes_the_provider_stall(
    primary: FakeUpstream,
) -> None:
    primary.always(provoked(Cut(how="stall")))
    limits = {"first_byte_timeout": 0.05, "request_timeout": 2.0}
    async with running(provider("primary", primary), route(PRIMARY), **limits) as mesh:
        calls = [
            ask(mesh, messages=[{"role": "user", "content": f"hostile {n}"}], stream=True)
            for n in range(8)
        ]
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} == {504}
        assert (await ask(mesh)).status == 200
