"""Mirrors: what a copy is, and that no client notices it, through every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, Gate, chat_completion
from tests.contract.calling import QUESTION
from tests.contract.conftest import World, rule
from tests.resilience.meshes import PRIMARY, key_of
from tests.resilience.outcomes import Outcomes

MIRROR: dict[str, Any] = {"providerHost": "fallback.example"}
STREAMED = QUESTION | {"stream": True}


def start(world: World, **mirror: Any) -> Outcomes:
    mesh = world.start(rule("only", PRIMARY, mirrors=[MIRROR | mirror]))
    outcomes = Outcomes()
    mesh.observe(outcomes)
    return outcomes


@pytest.mark.parametrize("body", [QUESTION, STREAMED])
def test_a_copy_is_the_mirrors_own_call(world: World, body: dict[str, Any]) -> None:
    outcomes = start(world)

    reply = world.ask(body, headers=[("authorization", "Bearer of-the-client")])

    assert reply.status == 200
    assert reply.headers["x-llm-mesh-provider"] == "primary"
    (outcome,) = outcomes.wait()
    (sent,) = world.fallback.requests
    assert sent.path == "/fallback/v1/chat/completions"
    assert sent.header("authorization") == f"Bearer {key_of('fallback')}"
    assert sent.header("x-fallback") == "1"
    assert sent.json()["model"] == "fallback-model"
    assert sent.json()["messages"] == QUESTION["messages"]
    assert (outcome.provider, outcome.result) == ("fallback", "success")
    assert outcome.has_same_finish
    assert outcome.has_same_content is None


def test_a_hanging_mirror_delays_nobody(world: World) -> None:
    gate = Gate()
    world.fallback.always(Answer(body=chat_completion(), delay=gate))
    outcomes = start(world, maxConcurrency=2)
    try:
        replies = [world.ask(QUESTION) for _ in range(5)]
        assert [reply.status for reply in replies] == [200] * 5
        skipped = outcomes.wait(3)
        assert [each.result for each in skipped] == ["skipped_busy"] * 3
        assert len(world.fallback.wait_for_requests(2)) == 2
    finally:
        gate.open()
    assert {each.result for each in outcomes.wait(5)[3:]} == {"success"}
