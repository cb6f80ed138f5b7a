"""Guards: what they deny and mask, whole and streamed, through every adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import (
    Answer,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.contract.conftest import World

CARD = "4111 1111 1111 1111"
MAIL = "anna@example.com"
PII: dict[str, Any] = {"pii": {"entities": ["EMAIL", "CREDIT_CARD"]}}
DENY: dict[str, Any] = {"deny": {"message": "not here", "status": 422}}


def policy(*guards: dict[str, Any], name: str = "team", **spec: Any) -> LLMPolicy:
    items = [{"name": f"g{index}", **guard} for index, guard in enumerate(guards)]
    return LLMPolicy.model_validate({"metadata": {"name": name}, "spec": {"guards": items, **spec}})


def says(text: str, **members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **members}


def echo(request: RecordedRequest) -> Answer:
    return Answer(body=chat_completion(f"You said: {request.json()['messages'][-1]['content']}"))


def streamed_echo(request: RecordedRequest) -> Stream:
    text = f"You said: {request.json()['messages'][-1]['content']} indeed"
    return Stream(chat_stream([text[at : at + 3] for at in range(0, len(text), 3)]))


def content(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


def streamed(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def test_a_denied_request_is_refused_and_not_sent(world: World) -> None:
    world.start(policies=[policy({**PII, "action": {"deny": {}}})])

    refused = world.ask(says(f"my card is {CARD}"))

    assert (refused.status, refused.code) == (403, "content_blocked")
    assert CARD.encode() not in refused.body
    assert not world.primary.requests
    assert world.ask(says("my card is at home")).status == 200


def test_the_refusal_is_the_operators(world: World) -> None:
    words = {"keywords": {"deny": ["Bluebird"], "ignoreCase": True}, "action": DENY}
    world.start(policies=[policy(words)])

    refused = world.ask(says("what is project BLUEBIRD?"))

    assert refused.status == 422
    assert json.loads(refused.body)["error"]["message"] == "not here"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": f"mail {MAIL}"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": MAIL}]}]},
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": MAIL}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "1", "function": {"name": "f", "arguments": f'{{"a":"{MAIL}"}}'}}
                    ],
                }
            ]
        },
        {"messages": [], "tools": [{"function": {"name": "f", "description": MAIL}}]},
        {"messages": [], "unknown": {"deep": [{"member": MAIL}]}},
    ],
)
def test_every_text_of_a_request_is_seen(world: World, body: dict[str, Any]) -> None:
    world.start(policies=[policy({**PII, "action": {"deny": {}}})])

    assert world.ask(body).code == "content_blocked"


def test_roles_narrow_what_is_seen(world: World) -> None:
    world.start(policies=[policy({**PII, "roles": ["user"], "action": {"deny": {}}})])
    system = {"role": "system", "content": MAIL}

    assert world.ask({"messages": [system]}).status == 200
    assert world.ask(says(MAIL)).status == 403


def test_a_masked_value_does_not_reach_the_provider(world: World) -> None:
    world.primary.always(echo)
    world.start(policies=[policy({**PII, "action": {"mask": {}}})])

    reply = world.ask(says(f"I am {MAIL}, card {CARD}", seed=1.50))

    sent = world.primary.requests[0]
    assert sent.json()["messages"][0]["content"] == "I am [EMAIL], card [CREDIT_CARD]"
    assert b'"seed":1.5' in sent.body.replace(b" ", b"")
    assert content(reply.body) == "You said: I am [EMAIL], card [CREDIT_CARD]"


def test_unmasking_gives_the_client_its_own_values_back(world: World) -> None:
    world.start(policies=[policy({**PII, "action": {"mask": {"unmask": True}}})])
    asked = says(f"{MAIL} and bob@example.org and {MAIL}")

    world.primary.always(echo)
    reply = world.ask(asked)
    world.primary.always(streamed_echo)
    stream = world.ask({**asked, "stream": True})

    sent = world.primary.requests[0].json()["messages"][0]["content"]
    assert sent == "[EMAIL_1] and [EMAIL_2] and [EMAIL_1]"
    assert content(reply.body) == f"You said: {asked['messages'][0]['content']}"
    assert streamed(stream.body) == f"You said: {asked['messages'][0]['content']} indeed"


def test_a_whole_response_is_denied_or_masked(world: World) -> None:
    world.primary.always(Answer(body=chat_completion(f"write to {MAIL}")))
    world.start(policies=[policy({**PII, "on": ["response"], "action": {"mask": {}}})])
    assert content(world.ask().body) == "write to [EMAIL]"

    world.start(policies=[policy({**PII, "on": ["response"], "action": {"deny": {}}})])
    refused = world.ask()
    assert (refused.status, refused.code) == (403, "content_blocked")
    assert MAIL.encode() not in refused.body


def test_a_stream_is_masked_or_ended(world: World) -> None:
    pieces = ["Hello ", "anna", "@exam", "ple.com", " and so ", "on"]
    world.primary.always(Stream(chat_stream(pieces)))
    world.start(policies=[policy({**PII, "on": ["response"], "action": {"mask": {}}})])
    assert streamed(world.ask({"messages": [], "stream": True}).body) == "Hello [EMAIL] and so on"

    world.start(policies=[policy({**PII, "on": ["response"], "action": {"deny": {}}})])
    ended = world.ask({"messages": [], "stream": True}).body
    assert b"content_blocked" in ended
    assert b"[DONE]" not in ended
    assert b"anna" not in ended


def test_what_comes_with_a_denied_event_and_before_it_is_sent(world: World) -> None:
    events = chat_stream(["Good ", "morning, ", "write to ", "anna", "@example.com now", " or"])
    world.primary.always(Stream([b"".join(events)]))
    world.start(policies=[policy({**PII, "on": ["response"], "action": {"deny": {}}})])
    sent = [
        each for each in world.ask({"messages": [], "stream": True}).body.split(b"\n\n") if each
    ]

    assert b"content_blocked" in sent.pop()
    assert b"".join(each + b"\n\n" for each in sent) == b"".join(events[: len(sent)])
    assert streamed(b"\n\n".join(sent)) == "Good morning, write to "


def test_a_stream_without_findings_keeps_its_bytes(world: World) -> None:
    events = chat_stream(["It is ", "5 o'", "clock", ". Good", " day"])
    world.primary.always(Stream(events))
    world.start()
    plain = world.ask({"messages": [], "stream": True}).body
    sides = ["request", "response"]
    world.start(policies=[policy({**PII, "on": sides, "action": {"deny": {}}})])

    assert world.ask({"messages": [], "stream": True}).body == plain


def test_a_shadow_guard_does_nothing(world: World) -> None:
    world.primary.always(echo)
    world.start(policies=[policy({**PII, "shadow": True, "action": {"deny": {}}})])

    assert content(world.ask(says(MAIL)).body) == f"You said: {MAIL}"


def test_when_says_which_requests_a_guard_is_for(world: World) -> None:
    when = [{"headers": {"x-team": {"exact": "support"}}}]
    world.start(policies=[policy({**PII, "when": when, "action": {"deny": {}}})])

    assert world.ask(says(MAIL)).status == 200
    assert world.ask(says(MAIL), headers=[("x-team", "support")]).status == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"system": MAIL, "messages": [], "max_tokens": 5}),
        ("/v1/messages", {"messages": [{"role": "user", "content": MAIL}], "max_tokens": 5}),
        ("/v1/responses", {"instructions": MAIL, "input": "x"}),
        ("/v1/responses", {"input": [{"type": "function_call_output", "output": MAIL}]}),
        ("/v1/embeddings", {"input": ["a", MAIL]}),
    ],
)
def test_every_dialect_is_guarded(world: World, path: str, body: dict[str, Any]) -> None:
    world.start(policies=[policy({**PII, "action": {"deny": {}}})])

    refused = world.ask({"model": "m", **body}, path=path)

    assert refused.status == 403
    assert b"g0" in refused.body
    if path == "/v1/messages":
        assert json.loads(refused.body)["type"] == "error"


def test_guards_of_several_policies_add_up(world: World) -> None:
    words = {"keywords": {"deny": ["bluebird"]}}
    targets = [{"kind": "LLMRoute", "name": "chat"}]
    world.start(policies=[policy(PII, name="a"), policy(words, name="b", targetRefs=targets)])

    assert world.ask(says(MAIL)).status == 403
    assert world.ask(says("bluebird")).status == 403
    assert world.ask(says("hello")).status == 200


def test_a_reply_says_what_guards_have_done(world: World) -> None:
    world.primary.always(echo)
    sides = ["request", "response"]
    words = {"keywords": {"deny": ["hello"]}, "on": sides, "shadow": True}
    guards = [{**PII, "action": {"mask": {}}}, words, {"keywords": {"deny": ["heron"]}}]
    world.start(policies=[policy(*guards)])

    assert "x-llm-mesh-guards" not in world.ask(says("good morning")).headers
    told = world.ask(says(f"I am {MAIL}, hello")).headers["x-llm-mesh-guards"]
    assert told == "masked g0, shadow_denied g1"
    assert world.ask(says("heron")).headers["x-llm-mesh-guards"] == "denied g2"

    world.start(policies=[policy(*guards)], response_headers=False)
    assert "x-llm-mesh-guards" not in world.ask(says(f"I am {MAIL}")).headers


def test_only_texts_that_match_pass(world: World) -> None:
    guard = {"regex": {"allow": ["(?i)order", "(?i)parcel"]}, "roles": ["user"]}
    world.start(policies=[policy(guard)])

    system = {"role": "system", "content": "Be kind."}
    both = [system, {"role": "user", "content": "Where is my parcel?"}]
    assert world.ask({"messages": both}).status == 200
    assert world.ask(says("Tell me a joke")).code == "content_blocked"
