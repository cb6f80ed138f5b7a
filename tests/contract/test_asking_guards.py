"""Guards that ask a webhook, a judge or a moderation endpoint, through every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.contract.conftest import World
from tests.contract.test_guards import MAIL, content, echo, policy, says, streamed
from tests.resilience.meshes import key_of

NAME = "Anna Meier"
SIDES = ["request", "response"]
STREAM = {"messages": [], "stream": True}


def webhook(service: FakeUpstream, **item: Any) -> dict[str, Any]:
    key = {"apiKey": key_of("fallback")}
    return {"webhook": {"url": f"{service.url}/check?v=1", **key}, "timeout": "5s", **item}


def judge(**item: Any) -> dict[str, Any]:
    return {"judge": {"providerHost": "fallback.example"}, "timeout": "5s", **item}


def names(request: RecordedRequest) -> Answer:
    """Find a name, as a service with a model of the language would."""
    found = [
        {"text": number, "start": at, "end": at + len(NAME), "entity": "PERSON"}
        for number, text in enumerate(request.json()["texts"])
        if (at := text.find(NAME)) >= 0
    ]
    return Answer(body={"findings": found})


def judged(result: str) -> Answer:
    text = f'```json\n{{"result": "{result}", "reason": "because"}}\n```'
    return Answer(body=chat_completion(text))


def test_a_webhook_finds_what_is_masked_and_put_back(world: World) -> None:
    world.primary.always(echo)
    world.fallback.always(names)
    world.start(policies=[policy(webhook(world.fallback, action={"mask": {"unmask": True}}))])

    reply = world.ask(says(f"I am {NAME}, hello", model="m"))

    sent = world.primary.requests[0].json()["messages"][0]["content"]
    assert sent == "I am [PERSON_1], hello"
    assert content(reply.body) == f"You said: I am {NAME}, hello"
    asked = world.fallback.requests[0]
    assert (asked.method, asked.target) == ("POST", "/check?v=1")
    assert asked.header("authorization") == f"Bearer {key_of('fallback')}"
    assert asked.json() == {
        "policy": "default/team",
        "guard": "g0",
        "side": "request",
        "model": "m",
        "texts": [f"I am {NAME}, hello"],
    }


def test_nobody_is_asked_about_what_a_guard_before_has_masked(world: World) -> None:
    world.fallback.always(names)
    pii = {"pii": {"entities": ["EMAIL"]}, "action": {"mask": {}}}
    world.start(policies=[policy(webhook(world.fallback), pii)])

    assert world.ask(says(f"write to {MAIL}")).status == 200
    assert world.fallback.requests[0].json()["texts"] == ["write to [EMAIL]"]
    assert MAIL.encode() not in world.fallback.requests[0].body


def test_a_webhook_denies(world: World) -> None:
    world.fallback.always(Answer(body={"result": "deny", "entity": "OFF_TOPIC"}))
    world.start(policies=[policy(webhook(world.fallback))])

    refused = world.ask(says("how is the weather?"))

    assert (refused.status, refused.code) == (403, "content_blocked")
    assert not world.primary.requests


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, body={"result": "allow"}),
        Answer(204),
        Answer(body="yes"),
        Answer(body={}),
        Answer(body={"result": "maybe"}),
        Answer(
            body={"result": "allow", "findings": [{"text": 0, "start": 0, "end": 1, "entity": "A"}]}
        ),
        Answer(body={"findings": [{"text": 9, "start": 0, "end": 1, "entity": "A"}]}),
        Answer(body={"findings": [{"text": 0, "start": 0, "end": 99, "entity": "A"}]}),
        Answer(body={"findings": [{"text": 0, "start": 1, "end": 1, "entity": "A"}]}),
        Answer(body={"findings": [{"text": 0, "start": 0, "end": 1, "entity": "a name"}]}),
        Answer(body={"findings": [{"text": 0, "start": True, "end": 1, "entity": "A"}]}),
        Cut(Answer(body={"result": "allow"}), at=0.9),
        Cut(how="reset"),
    ],
    ids=lambda answer: str(answer)[:70],
)
def test_a_service_that_fails_or_lies_has_said_nothing(world: World, answer: Any) -> None:
    world.fallback.always(answer)
    world.start(policies=[policy(webhook(world.fallback))])
    refused = world.ask(says("hello"))
    assert (refused.status, refused.code) == (503, "policy_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert not world.primary.requests

    world.start(policies=[policy(webhook(world.fallback, onFailure="allow"))])
    assert world.ask(says("hello")).status == 200


def test_a_service_that_hangs_costs_its_timeout(world: World) -> None:
    world.fallback.always(Cut(how="stall"))
    world.start(policies=[policy(webhook(world.fallback, timeout="150ms"))])
    assert world.ask(says("hello")).code == "policy_unavailable"

    world.fallback.always(Cut(Answer(body={"result": "allow"}), at=0.5, how="stall"))
    allowing = {"timeout": "150ms", "onFailure": "allow"}
    world.start(policies=[policy(webhook(world.fallback, **allowing))])
    assert world.ask(says("hello")).status == 200


def test_nobody_listens(world: World) -> None:
    world.start(policies=[policy({"webhook": {"url": "http://127.0.0.1:9/"}})])

    assert world.ask(says("hello")).code == "policy_unavailable"


def test_a_judge_is_a_model_of_a_provider(world: World) -> None:
    world.fallback.script(judged("allow"), judged("deny"))
    world.start(policies=[policy(judge(roles=["user"]))])

    assert world.ask(says("good morning")).status == 200
    assert world.ask(says("bad morning")).code == "content_blocked"

    asked = world.fallback.requests[0]
    assert asked.path == "/fallback/v1/chat/completions"
    assert asked.header("authorization") == f"Bearer {key_of('fallback')}"
    assert asked.json()["model"] == "fallback-model"
    system, user = asked.json()["messages"]
    assert "harmful" in system["content"]
    assert user == {"role": "user", "content": "good morning"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, body={"error": {"message": "down"}}),
        Answer(body=chat_completion("I cannot say.")),
        Answer(body=chat_completion('{"result": "allowed"}')),
        Answer(body=chat_completion("{}")),
        Answer(body={"choices": []}),
        Answer(body="{"),
    ],
    ids=lambda answer: str(answer.body)[:40],
)
def test_a_judge_without_a_verdict_has_said_nothing(world: World, answer: Answer) -> None:
    world.fallback.always(answer)
    world.start(policies=[policy(judge())])
    assert world.ask(says("hello")).code == "policy_unavailable"

    world.start(policies=[policy(judge(onFailure="allow"))])
    assert world.ask(says("hello")).status == 200


def test_a_moderation_denies_by_flag_or_by_score(world: World) -> None:
    result = {
        "categories": {"self-harm/intent": False, "violence": True},
        "category_scores": {"self-harm/intent": 0.4, "violence": 0.9},
    }
    world.fallback.always(Answer(body={"id": "m", "model": "x", "results": [result]}))
    where = {"providerHost": "fallback.example"}
    world.start(policies=[policy({"moderation": where, "roles": ["user"]})])
    assert world.ask(says("hm")).code == "content_blocked"
    asked = world.fallback.requests[0]
    assert asked.path == "/fallback/v1/moderations"
    assert asked.json() == {"model": "omni-moderation-latest", "input": ["hm"]}

    for score, status in ((0.5, 200), (0.3, 403)):
        scored = {**where, "thresholds": {"self-harm/intent": score}}
        world.start(policies=[policy({"moderation": scored, "roles": ["user"]})])
        assert world.ask(says("hm")).status == status


def test_a_shadow_asks_and_does_nothing(world: World) -> None:
    world.fallback.always(Answer(body={"result": "deny"}))
    world.start(policies=[policy(webhook(world.fallback, shadow=True))])

    assert world.ask(says("hello")).status == 200
    assert len(world.fallback.requests) == 1


def test_a_whole_response_is_asked_about(world: World) -> None:
    world.primary.always(Answer(body=chat_completion(f"Ask {NAME}.")))
    world.fallback.always(names)
    on = {"on": ["response"]}
    world.start(policies=[policy(webhook(world.fallback, **on, action={"mask": {}}))])
    assert content(world.ask().body) == "Ask [PERSON]."

    world.start(policies=[policy(webhook(world.fallback, **on))])
    refused = world.ask()
    assert (refused.status, refused.code) == (403, "content_blocked")
    assert NAME.encode() not in refused.body


def test_a_stream_is_asked_about_and_masked(world: World) -> None:
    text = "word " * 300 + f"and {NAME} " + "word " * 300
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    world.primary.always(Stream(chat_stream(pieces)))
    world.fallback.always(names)
    masking = {"on": ["response"], "window": 400, "action": {"mask": {}}}
    world.start(policies=[policy(webhook(world.fallback, **masking))])

    reply = world.ask(STREAM)

    assert streamed(reply.body) == text.replace(NAME, "[PERSON]")
    assert reply.body.count(b"data: ") == len(chat_stream(pieces))
    assert world.fallback.requests


def test_a_stream_is_ended_by_a_verdict(world: World) -> None:
    pieces = ["nothing ", "special ", *["word "] * 30, NAME, " is here ", *["word "] * 30]
    world.primary.always(Stream(chat_stream(pieces)))
    world.fallback.always(names)
    denying = {"on": ["response"], "window": 100}
    world.start(policies=[policy(webhook(world.fallback, **denying))])

    ended = world.ask(STREAM).body

    assert b"content_blocked" in ended
    assert b"[DONE]" not in ended
    assert NAME.encode() not in ended


def test_a_stream_without_a_verdict_is_ended(world: World) -> None:
    world.primary.always(Stream(chat_stream(["Hello ", "you"])))
    world.fallback.always(Answer(500))
    world.start(policies=[policy(webhook(world.fallback, on=["response"]))])
    ended = world.ask(STREAM).body
    assert b"policy_unavailable" in ended
    assert b"Hello" not in ended

    allowing = {"on": ["response"], "onFailure": "allow"}
    world.start(policies=[policy(webhook(world.fallback, **allowing))])
    assert streamed(world.ask(STREAM).body) == "Hello you"


def test_a_stream_that_nobody_objects_to_keeps_its_bytes(world: World) -> None:
    world.primary.always(Stream(chat_stream(["It is ", "5 o'", "clock."])))
    world.fallback.always(names)
    world.start()
    plain = world.ask(STREAM).body
    world.start(policies=[policy(webhook(world.fallback, on=["response"]))])

    assert world.ask(STREAM).body == plain
    assert len(world.fallback.requests) == 1


def test_observers_are_told_what_the_client_got(world: World) -> None:
    world.primary.always(Answer(body=chat_completion(f"Ask {NAME}.")))
    world.fallback.always(names)
    world.start(policies=[policy(webhook(world.fallback, on=["response"]))])

    assert world.ask().status == 403
    assert world.ledger.entries[0].events[-1] == "ended 403"
