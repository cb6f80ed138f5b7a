"""Requests that say the same in other words: which one response answers, and which never."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Gate,
    RecordedRequest,
    Stream,
    assert_cached,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)
from tests.contract.caching import REFUSED
from tests.contract.calling import Ask, Seen
from tests.contract.conftest import World, rule
from tests.resilience.meshes import key_of
from tests.semantic.provider import embed, policy

pytest.importorskip("numpy", reason="the extra semantic is not installed")

ASKED, ALIKE = "What is a service mesh?", "what's a service mesh"
WHOLE = Answer(body=chat_completion("A net.", usage=token_usage(4, 6)))


def semantic(cache: dict[str, Any] | None = None, **words: Any) -> LLMPolicy:
    return policy("fallback.example", cache, **words)


def said(text: str, **members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **members}


def told(seen: Seen) -> str:
    return seen.headers["x-llm-mesh-cache"]


def decisions(world: World) -> list[tuple[str, str]]:
    return [(each.kind, each.decision) for entry in world.ledger.entries for each in entry.told]


@pytest.fixture(autouse=True)
def providers(world: World) -> None:
    world.primary.always(WHOLE)
    world.fallback.always(embed)


def test_other_words_for_the_same_are_answered_alike(world: World) -> None:
    world.start(policies=[semantic()])
    first, second = world.ask(said(ASKED)), world.ask(said(ALIKE))

    assert (first.status, told(first)) == (200, "miss")
    assert_cached(second)
    result, _, similarity = told(second).partition("; similarity=")
    assert (result, 0.8 <= float(similarity) < 1) == ("hit", True)
    assert second.body == first.body
    assert len(world.primary.requests) == 1


def test_the_provider_of_vectors_is_asked_with_its_own_key_path_and_model(world: World) -> None:
    world.start(policies=[semantic()])
    world.ask(said(ASKED))
    (asked,) = world.fallback.requests

    assert asked.path == "/fallback/v1/embeddings"
    assert asked.header("authorization") == f"Bearer {key_of('fallback')}"
    assert asked.json() == {"model": "letters", "input": [ASKED], "encoding_format": "float"}


def test_an_equal_request_needs_no_vector(world: World) -> None:
    world.start(policies=[semantic()])
    for _ in range(3):
        world.ask(said(ASKED))

    assert len(world.fallback.requests) == 1


OTHERS = [
    said(ALIKE, temperature=0.5),
    said(ALIKE, tools=[{"type": "function", "function": {"name": "f"}}]),
    said(ALIKE, top_p=0.5),
    {"messages": [{"role": "system", "content": "Be brief."}, *said(ALIKE)["messages"]]},
    {"messages": [*said("Hello")["messages"], *said(ALIKE)["messages"]]},
    {"messages": [*said(ALIKE)["messages"], {"role": "assistant", "content": "A"}]},
    said("What is not a service mesh?"),
    said("What is a 2nd service mesh?"),
    said("What is a Service Mesh?"),
    said('What is a "service mesh"?'),
    said("Who eats lentils on rainy afternoons?"),
]


def test_everything_but_the_words_of_the_last_message_must_be_equal(world: World) -> None:
    world.start(policies=[semantic()])
    replies = [world.ask(body) for body in (said(ASKED), *OTHERS)]

    assert [told(reply) for reply in replies] == ["miss"] * (1 + len(OTHERS))


def test_what_is_more_than_a_text_is_compared_as_it_is(world: World) -> None:
    world.start(policies=[semantic()])
    image = {"type": "image_url", "image_url": {"url": "https://img.example/1.png"}}
    for text in (ASKED, ALIKE):
        body = {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, image]}]}
        assert told(world.ask(body)) == "miss"

    assert world.fallback.requests == []


def test_the_parts_of_a_message_are_one_text(world: World) -> None:
    world.start(policies=[semantic()])
    for text, expected in ((ASKED, "miss"), (ALIKE, "hit")):
        parts = [{"type": "text", "text": "Tell me:"}, {"type": "text", "text": text}]
        assert_cached(world.ask({"messages": [{"role": "user", "content": parts}]}), expected)


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        ("/v1/messages", [said(text, max_tokens=9) for text in (ASKED, ALIKE)]),
        ("/v1/responses", [{"input": text} for text in (ASKED, ALIKE)]),
        (
            "/v1beta/models/m:generateContent",
            [{"contents": [{"role": "user", "parts": [{"text": t}]}]} for t in (ASKED, ALIKE)],
        ),
    ],
)
def test_clients_of_other_dialects_are_answered_alike_too(
    world: World, path: str, bodies: list[dict[str, Any]]
) -> None:
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["chat"]}
    spec: dict[str, object] = {"configs": {"defaultConfig": {"openAIConfig": openai}}}
    world.start(spec=spec, policies=[semantic()])
    first = world.ask(bodies[0], path=path)
    if path.endswith("Content"):
        stream = world.ask(bodies[1], path="/v1beta/models/m:streamGenerateContent?alt=sse")
    else:
        stream = world.ask(bodies[1] | {"stream": True}, path=path)

    assert_cached(first, "miss")
    assert_cached(stream)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert b"A net." in stream.body
    assert len(world.primary.requests) == 1


def test_a_stream_is_answered_by_what_another_one_said(world: World) -> None:
    events = chat_stream(["A ", "net", "."], usage=token_usage(4, 6), include_usage=True)
    world.primary.always(Stream(events))
    world.start(policies=[semantic()])
    world.ask(said(ASKED, stream=True))
    second = world.ask(said(ALIKE))

    assert_cached(second)
    assert second.json()["choices"][0]["message"]["content"] == "A net."


def test_in_shadow_a_request_is_a_miss_that_says_what_would_have_been(world: World) -> None:
    world.start(policies=[semantic(shadow=True)])
    world.ask(said(ASKED))
    second = world.ask(said(ALIKE))
    world.primary.always(Answer(body=chat_completion("Another net.")))
    third = world.ask(said("what's a service mesh please"))

    assert_cached(second, "miss")
    assert "; similarity=" in told(second)
    assert json.loads(third.body)["choices"][0]["message"]["content"] == "Another net."
    assert len(world.primary.requests) == 3
    told_alike = [decision for kind, decision in decisions(world) if kind == "semantic"]
    assert told_alike == ["miss", "shadow_hit", "shadow_same", "shadow_hit", "shadow_differs"]
    assert [each for each in decisions(world) if each[0] == "cache"] == [("cache", "miss")] * 3


def test_a_policy_is_in_shadow_unless_it_is_switched_on(world: World) -> None:
    alike = {"embedding": {"providerHost": "fallback.example", "model": "letters"}}
    spec = {"cache": {"vary": [], "semantic": alike | {"timeout": "10s", "threshold": 0.5}}}
    document = {"metadata": {"name": "team"}, "spec": spec}
    world.start(policies=[LLMPolicy.model_validate(document)])
    replies = [world.ask(said(text)) for text in (ASKED, ALIKE)]

    assert [told(reply).partition(";")[0] for reply in replies] == ["miss", "miss"]
    assert len(world.primary.requests) == 2


NO_VECTORS = [
    (Answer(500, body=error_body("broken")), "status_500"),
    (Answer(401, body=error_body("no")), "status_401"),
    (Answer(body={"object": "list", "data": []}), "malformed"),
    (Answer(body={"data": [{"embedding": []}]}), "malformed"),
    (Answer(body={"data": [{"embedding": ["a"]}]}), "malformed"),
    (Answer(body=b'{"data": [{"embedding": [1e300, 1]}]}'), "malformed"),
    (Answer(body=chat_completion("what?")), "malformed"),
    (Cut(), "upstream_connect_error"),
]


def test_without_a_vector_a_request_is_a_miss(world: World) -> None:
    world.start(policies=[semantic()])
    for number, (answer, _) in enumerate(NO_VECTORS):
        world.fallback.always(answer)
        reply = world.ask(said(f"{ASKED} {number}"))
        assert (reply.status, told(reply)) == (200, "miss")

    assert_cached(world.ask(said(f"{ASKED} 0")))
    causes = [
        each.entity
        for entry in world.ledger.entries
        for each in entry.told
        if each.decision == "unchecked"
    ]
    assert causes == [cause for _, cause in NO_VECTORS]


def test_vectors_are_waited_for_no_longer_than_the_policy_says(world: World) -> None:
    world.fallback.always(Answer(body=b"{}", delay=30.0))
    world.start(policies=[semantic(timeout="20ms")])
    reply = world.ask(said(ASKED))

    assert (reply.status, told(reply)) == (200, "miss")
    assert ("semantic", "unchecked") in decisions(world)


BAD = [
    Answer(400, body=error_body("bad")),
    Answer(body=chat_completion("cut", finish_reason="length")),
    Answer(body=chat_completion("no", finish_reason="content_filter")),
    REFUSED,
    Cut(),
]


def test_what_is_not_complete_and_good_answers_nobody_else(world: World) -> None:
    world.start(rule("only", retry={"attempts": 1}), policies=[semantic()])
    for answer in BAD:
        world.primary.always(answer)
        world.ask(said(ASKED))
    world.primary.always(WHOLE)

    assert told(world.ask(said(ALIKE))) == "miss"


@pytest.mark.notices_at_once
def test_a_stream_whose_client_leaves_answers_nobody_else(world: World) -> None:
    gate = Gate()
    events = chat_stream(["A ", "net", "."])
    world.primary.always(Stream([*events[:1], gate, *events[1:]]))
    world.start(policies=[semantic()])
    leaver = world.call(Ask(said(ASKED, stream=True)))
    pieces = leaver.pieces()  # kept: some libraries leave with the iterator
    next(pieces)
    leaver.leave()
    assert world.primary.requests[0].wait_disconnected()
    gate.open()
    world.primary.always(WHOLE)

    assert told(world.ask(said(ALIKE))) == "miss"


def test_a_masked_value_reaches_no_provider_of_vectors(world: World) -> None:
    def echo(request: RecordedRequest) -> Answer:
        return Answer(body=chat_completion(request.json()["messages"][0]["content"]))

    world.primary.always(echo)
    pii = {"name": "pii", "pii": {}, "action": {"mask": {"unmask": True}}}
    alike = semantic()
    spec = alike.spec.model_dump(by_alias=True, exclude_unset=True) | {"guards": [pii]}
    given = {"metadata": {"name": "team"}, "spec": spec}
    world.start(policies=[LLMPolicy.model_validate(given)])
    anna = world.ask(said("Please write to anna@example.com"))
    bob = world.ask(said("please write to bob@example.com kindly"))

    assert b"example.com" not in b"".join(each.body for each in world.fallback.requests)
    assert_cached(bob)
    assert json.loads(anna.body)["choices"][0]["message"]["content"].endswith("anna@example.com")
    assert json.loads(bob.body)["choices"][0]["message"]["content"].endswith("bob@example.com")


def test_a_client_may_ask_for_no_answer_of_others(world: World) -> None:
    world.start(policies=[semantic()])
    world.ask(said(ASKED))
    for directive, expected in (("no-cache", "miss"), ("no-store", "bypass")):
        reply = world.ask(said(ALIKE), headers=[("cache-control", directive)])
        assert told(reply) == expected
    only = world.ask(
        said("what's a service mesh please"), headers=[("cache-control", "only-if-cached")]
    )

    assert only.code == "cache_miss"
    assert len(world.fallback.requests) == 1
