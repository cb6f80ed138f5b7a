"""Mirrors: what is copied, that failures stay theirs, and that they are gone with the mesh."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy, LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.resilience.meshes import HOST, PRIMARY, ask, provider, route, running
from tests.resilience.outcomes import Outcomes

Documents = tuple[LLMProvider | LLMRoute, ...]
MIRROR: dict[str, Any] = {"providerHost": "fallback.example"}
CUT_OFF = Stream(chat_stream(["Good ", "morning"])[:2], end="reset")


def documents(primary: FakeUpstream, mirror: FakeUpstream, **words: Any) -> Documents:
    made = (provider("primary", primary), provider("fallback", mirror))
    return (*made, route(PRIMARY, mirrors=[MIRROR | words]))


def asking(**members: object) -> ClientRequest:
    body = {"messages": [{"role": "user", "content": "Hi"}], **members}
    return ClientRequest("POST", "/v1/chat/completions", Headers(), json.dumps(body).encode())


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.mark.parametrize("answer", [Answer(503, body=b"{}"), Cut(None), CUT_OFF])
async def test_a_failing_mirror_is_nobodys_failure(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes, answer: Any
) -> None:
    fallback.always(answer)
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        assert (await ask(mesh, stream=True)).status == 200
        assert await outcomes.results() == ["error"]


async def test_a_slow_mirror_is_given_up(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    gate = Gate()
    fallback.always(Answer(body=chat_completion(), delay=gate))
    async with running(*documents(primary, fallback, timeout="50ms")) as mesh:
        mesh.observe(outcomes)
        assert (await ask(mesh)).status == 200
        assert await outcomes.results() == ["timeout"]
    gate.open()


async def test_a_failing_call_is_not_copied(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    primary.script(Answer(400, body=b'{"error": {"message": "no"}}'))
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        assert [(await ask(mesh)).status for _ in range(2)] == [400, 200]
        await outcomes.results()
    assert len(fallback.requests) == 1


@pytest.mark.parametrize("members", [{"store": True}, {"tools": [{"type": "web_search"}]}])
async def test_a_request_with_effects_is_not_copied(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes, members: dict[str, Any]
) -> None:
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        assert (await ask(mesh, **members)).status == 200
        assert (await ask(mesh)).status == 200
        await outcomes.results()
    (sent,) = fallback.requests
    assert sent.json().keys().isdisjoint(members)


async def test_a_long_request_is_not_copied(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    async with running(*documents(primary, fallback, maxBodyBytes=100)) as mesh:
        mesh.observe(outcomes)
        assert (await ask(mesh, user="x" * 100)).status == 200
        assert await outcomes.results() == ["skipped_too_large"]
    assert not fallback.requests


async def test_a_copy_is_masked_as_the_request_is(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    guard = {"name": "pii", "pii": {"entities": ["EMAIL"]}, "action": {"mask": {}}}
    policy = LLMPolicy.model_validate({"metadata": {"name": "p"}, "spec": {"guards": [guard]}})
    async with running(*documents(primary, fallback), policy) as mesh:  # type: ignore[arg-type]
        mesh.observe(outcomes)
        await ask(mesh, user="anna@example.com")
        await outcomes.results()
    assert [each.requests[0].json()["user"] for each in (primary, fallback)] == ["[EMAIL]"] * 2


@pytest.mark.parametrize(("said", "is_same"), [("the same", True), ("another", False)])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_contents_are_compared_by_digest(
    primary: FakeUpstream,
    fallback: FakeUpstream,
    outcomes: Outcomes,
    said: str,
    is_same: bool,
    is_stream: bool,
) -> None:
    primary.always(Answer(body=chat_completion("the same")))
    fallback.always(Answer(body=chat_completion(said)))
    async with running(*documents(primary, fallback, compareContent=True)) as mesh:
        mesh.observe(outcomes)
        await ask(mesh, stream=is_stream)
        (outcome,) = await asyncio.to_thread(outcomes.wait)
    assert outcome.has_same_content is is_same


async def test_closing_the_mesh_cancels_copies(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    gate = Gate()
    fallback.always(Answer(body=chat_completion(), delay=gate))
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        assert (await ask(mesh)).status == 200
        assert await asyncio.to_thread(fallback.wait_for_requests, 1, 10)
    # No task is left (`running` looks), and the provider sees the connection go.
    assert await outcomes.results() == ["cancelled"]
    assert await asyncio.to_thread(fallback.wait_closed, 10)
    gate.open()


def test_closing_the_mesh_cancels_copies_of_threads(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    gate = Gate()
    fallback.always(Answer(body=chat_completion(), delay=gate))
    mesh = Mesh(documents(primary, fallback), settings=MeshSettings())
    mesh.observe(outcomes)
    host = mesh.find(HOST.encode())
    assert host is not None
    mesh.send(host, asking()).close()
    fallback.wait_for_requests(1, 10)

    mesh.close()

    assert [each.result for each in outcomes.wait()] == ["cancelled"]
    gate.open()


async def test_a_client_that_leaves_does_not_take_its_copy_along(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        host = mesh.find(HOST.encode())
        assert host is not None
        delivery = await mesh.asend(host, asking(stream=True))
        await delivery.aclose()
        assert await outcomes.results() == ["success"]


async def test_a_dead_mirror_is_left_alone_and_its_provider_stays_in_service(
    primary: FakeUpstream, fallback: FakeUpstream, outcomes: Outcomes
) -> None:
    fallback.always(Answer(503, body=b"{}"))
    async with running(*documents(primary, fallback)) as mesh:
        mesh.observe(outcomes)
        for number in range(8):
            assert (await ask(mesh)).status == 200
            results = await outcomes.results(number + 1)
        assert "fallback.example" not in mesh.health()
    assert results == ["error"] * 5 + ["skipped_ejected"] * 3
