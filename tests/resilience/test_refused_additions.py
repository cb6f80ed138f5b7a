"""A provider that refuses what only the mesh has added to a request."""

from __future__ import annotations

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    RecordedRequest,
    Scripted,
    Stream,
    chat_stream,
    error_body,
)
from tests.resilience.meshes import PRIMARY, ask, provider, route, running

WORDS = Stream(chat_stream(["Good ", "morning"]))
TOKEN_COUNTS = {"include_usage": True}


def refuses(status: int) -> Scripted:
    """Refuse `stream_options`, whoever asks for it."""
    refusal = Answer(
        status, body=error_body("Unrecognized request argument supplied: stream_options")
    )
    return lambda request: refusal if has_options(request) else WORDS


def has_options(request: RecordedRequest) -> bool:
    return "stream_options" in request.json()


@pytest.mark.parametrize("status", [400, 422])
async def test_it_is_asked_once_more_without_and_that_is_remembered(
    primary: FakeUpstream, status: int
) -> None:
    primary.always(refuses(status))
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        for _ in range(3):
            assert (await ask(mesh, stream=True)).status == 200
    assert [has_options(request) for request in primary.requests] == [True, False, False, False]


@pytest.mark.parametrize("status", [400, 422])
async def test_what_the_client_asked_for_itself_is_refused_to_it(
    primary: FakeUpstream, status: int
) -> None:
    primary.always(refuses(status))
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        answer = await ask(mesh, stream=True, stream_options=TOKEN_COUNTS)
    assert answer.status == status
    assert len(primary.requests) == 1


@pytest.mark.parametrize("message", ["messages: too long", "unknown model", "temperature is odd"])
async def test_a_refusal_of_something_else_is_shown_at_once(
    primary: FakeUpstream, message: str
) -> None:
    primary.always(Answer(400, body=error_body(message)))
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        assert (await ask(mesh, stream=True)).status == 400
    assert len(primary.requests) == 1
