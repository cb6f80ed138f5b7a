"""Guards that are asked about a request while it is answered: what is seen, and when."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, Cut, Gate, Stream, chat_completion, chat_stream
from tests.contract.conftest import World
from tests.contract.test_asking_guards import STREAM, webhook
from tests.contract.test_guards import content, policy, says, streamed

ALLOW, DENY = Answer(body={"result": "allow"}), Answer(body={"result": "deny"})
WHOLE = Answer(body=chat_completion("Fine."))
EVENTS = Stream(chat_stream(["Fi", "ne."]))


def start(world: World, verdict: Any, **item: Any) -> None:
    world.fallback.always(verdict)
    world.start(policies=[policy(webhook(world.fallback, mode="concurrent", **item))])


def test_the_call_is_made_while_the_verdict_is_waited_for(world: World) -> None:
    gate, reached = Gate(), Gate()
    world.primary.always(replace(WHOLE, delay=reached))
    start(world, replace(ALLOW, delay=gate))
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(world.ask, says("hello"))
        assert reached.wait_reached(5)  # the provider has been asked,
        assert gate.wait_reached(5)  # and so has the webhook, before it has said anything
        reached.open()
        assert not asking.done()
        gate.open()
        reply = asking.result(10)

    assert content(reply.body) == "Fine."


@pytest.mark.parametrize("body", [says("hello"), STREAM], ids=["whole", "stream"])
def test_a_verdict_decides_what_is_seen(world: World, body: dict[str, Any]) -> None:
    world.primary.always(EVENTS if body.get("stream") else WHOLE)
    body = {**body, "messages": [{"role": "user", "content": "hello"}]}
    start(world, ALLOW)
    allowed = world.ask(body)
    assert (streamed if body.get("stream") else content)(allowed.body) == "Fine."

    start(world, DENY)
    refused = world.ask(body)
    assert (refused.status, refused.code) == (403, "content_blocked")
    assert b"Fi" not in refused.body
    assert refused.headers["x-llm-mesh-guards"] == "denied g0"


def test_without_a_verdict_on_failure_decides(world: World) -> None:
    world.primary.always(WHOLE)
    start(world, Cut(how="stall"), timeout="150ms")
    assert world.ask(says("hello")).code == "policy_unavailable"

    start(world, Answer(500), onFailure="allow")
    assert world.ask(says("hello")).status == 200


def test_a_denied_stream_gives_its_connection_back(world: World) -> None:
    gate = Gate()
    events = chat_stream(["Fi", "ne."])
    world.primary.always(Stream([*events[:2], gate, *events[2:]]))
    start(world, DENY)

    assert world.ask({**STREAM, "messages": says("hello")["messages"]}).status == 403
    assert world.primary.requests[0].wait_disconnected()
    gate.open()


def test_a_response_to_a_denied_request_is_not_kept(world: World) -> None:
    world.primary.always(WHOLE)
    world.fallback.script(DENY, ALLOW)
    guard = webhook(world.fallback, mode="concurrent")
    world.start(policies=[policy(guard, cache={"vary": []})])

    asked = [world.ask(says("hello")) for _ in range(3)]

    assert [each.status for each in asked] == [403, 200, 200]
    assert [each.headers.get("x-llm-mesh-cache") for each in asked[1:]] == ["miss", "hit"]
    assert len(world.primary.requests) == len(world.fallback.requests) == 2


def test_a_finding_is_denied_and_an_error_of_the_provider_is_shown(world: World) -> None:
    world.primary.always(Answer(400, body=json.dumps({"error": {"message": "bad"}}).encode()))
    start(world, Answer(body={"findings": [{"text": 0, "start": 0, "end": 2, "entity": "A"}]}))
    assert world.ask(says("hello")).status == 403

    start(world, ALLOW)
    assert world.ask(says("hello")).status == 400
