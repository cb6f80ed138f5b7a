"""Responses are kept and given again, through every adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Gate,
    Stream,
    chat_completion,
    error_body,
)
from tests.contract.caching import (
    ASKED,
    EVENTS,
    REFUSED,
    STREAMED,
    WHOLE,
    content,
    policy,
    results,
    streamed,
)
from tests.contract.calling import Ask
from tests.contract.conftest import World, rule
from tests.resilience.meshes import key_of


def test_the_same_request_is_answered_once(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])

    first, second = world.ask(ASKED), world.ask(ASKED)

    assert (first.headers["x-llm-mesh-cache"], second.headers["x-llm-mesh-cache"]) == (
        "miss",
        "hit",
    )
    assert second.body == first.body
    assert second.headers["age"] == "0"
    assert second.headers["cache-control"] == first.headers["cache-control"] == "private, no-store"
    assert len(world.primary.requests) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [*ASKED["messages"], {"role": "user", "content": "more"}]},
        {"messages": [{"role": "system", "content": "Be brief."}, *ASKED["messages"]]},
        ASKED | {"temperature": 0.5},
        ASKED | {"tools": [{"type": "function", "function": {"name": "f"}}]},
        ASKED | {"unknown": 1},
    ],
)
def test_another_request_is_not(world: World, other: dict[str, Any]) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])

    assert results(world, ASKED, other, ASKED, other) == ["miss", "miss", "hit", "hit"]


def test_warm_requests_and_those_without_a_temperature_are_not_for_a_cool_cache(
    world: World,
) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy({"maxTemperature": 0.5})])
    cool, warm = ASKED | {"temperature": 0.5}, ASKED | {"temperature": 0.6}
    assert results(world, cool, cool, warm, ASKED) == ["miss", "hit", "bypass", "bypass"]


def test_spelling_and_who_asks_make_no_difference(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy({"ignore": ["trace"]})])
    one = b'{"messages": [{"role": "user", "content": "\\u00e9"}], "temperature": 1}'
    two = '{"user":"b","trace":7,"temperature":1.0,"messages":[{"content":"é","role":"user"}]}'

    assert world.ask(one).headers["x-llm-mesh-cache"] == "miss"
    assert world.ask(two.encode()).headers["x-llm-mesh-cache"] == "hit"


def test_what_the_provider_would_be_asked_tells_requests_apart(world: World) -> None:
    """The provider of these tests has a model of its own, whatever clients name."""
    world.primary.always(WHOLE)
    other = ASKED | {"model": "other"}
    world.start(policies=[policy()])
    assert results(world, ASKED, other) == ["miss", "hit"]

    world.start(policies=[policy({"vary": ["model"]})])
    assert results(world, ASKED | {"model": "m"}, other) == ["miss", "miss"]


def test_features_that_a_header_asks_for_tell_requests_apart(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])
    fields = [[], [("openai-beta", "a=v1")], [("openai-beta", "b=v1")], [("anthropic-beta", "c")]]
    replies = [world.ask(ASKED, headers=headers) for headers in (*fields, [])]
    told = [reply.headers["x-llm-mesh-cache"] for reply in replies]
    assert told == ["miss", "miss", "miss", "miss", "hit"]


def test_one_entry_serves_json_and_stream(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])
    world.ask(ASKED)
    stream = world.ask(STREAMED)
    assert stream.headers["x-llm-mesh-cache"] == "hit"
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert streamed(stream.body) == "A net."
    assert stream.body.endswith(b"data: [DONE]\n\n")

    world.primary.always(Stream(EVENTS))
    world.start(policies=[policy()])
    assert streamed(world.ask(STREAMED).body) == "A net."
    whole = world.ask(ASKED)
    assert whole.headers["x-llm-mesh-cache"] == "hit"
    assert content(whole.body) == "A net."
    assert whole.json()["usage"]["total_tokens"] == 10


ALIKE = {
    "/v1/messages": (ASKED | {"max_tokens": 9}, b"event: message_stop"),
    "/v1/responses": ({"input": "What is a mesh?"}, b"event: response.completed"),
}


GENERATED = "/v1beta/models/m:generateContent"


STREAM_GENERATED = "/v1beta/models/m:streamGenerateContent"


CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "What is a mesh?"}]}]}


# One request in the form of each dialect of clients, as JSON and as a stream.
FORMS: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", ASKED | {"max_tokens": 9}, ""),
    ("/v1/chat/completions", STREAMED | {"max_tokens": 9}, ""),
    ("/v1/messages", ASKED | {"max_tokens": 9}, ""),
    ("/v1/messages", STREAMED | {"max_tokens": 9}, ""),
    ("/v1/responses", {"input": "What is a mesh?", "max_output_tokens": 9}, ""),
    ("/v1/responses", {"input": "What is a mesh?", "max_output_tokens": 9, "stream": True}, ""),
    (GENERATED, CONTENTS | {"generationConfig": {"maxOutputTokens": 9}}, ""),
    (STREAM_GENERATED, CONTENTS | {"generationConfig": {"maxOutputTokens": 9}}, "alt=sse"),
]


@pytest.mark.parametrize(
    "first",
    [0, *[pytest.param(n, marks=pytest.mark.slow) for n in range(1, len(FORMS) - 1)], -1],
)
def test_one_entry_serves_clients_of_every_dialect(world: World, first: int) -> None:
    path, body, query = FORMS[first]
    is_stream = "stream" in path or body.get("stream") is True
    world.primary.always(Stream(EVENTS) if is_stream else WHOLE)
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["chat"]}
    world.start(spec={"configs": {"defaultConfig": {"openAIConfig": openai}}}, policies=[policy()])
    replies = [
        world.ask(body, path=f"{path}?{query}" if query else path)
        for path, body, query in (FORMS[first], *FORMS)
    ]

    assert [reply.headers["x-llm-mesh-cache"] for reply in replies] == ["miss", *["hit"] * 8]
    for (path, body, _), reply in zip(FORMS, replies[1:], strict=True):
        is_stream = "stream" in path or body.get("stream") is True
        kind = "text/event-stream" if is_stream else "application/json"
        assert reply.headers["content-type"].startswith(kind)
        assert b"A net." in reply.body.replace(b'"A "', b'"A net."')
    assert len(world.primary.requests) == 1


@pytest.mark.parametrize("path", ALIKE)
@pytest.mark.parametrize("is_stream_first", [False, True])
def test_one_entry_serves_json_and_stream_in_every_dialect(
    world: World, path: str, is_stream_first: bool
) -> None:
    body, end = ALIKE[path]
    world.primary.always(Stream(EVENTS) if is_stream_first else WHOLE)
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["chat"]}
    world.start(spec={"configs": {"defaultConfig": {"openAIConfig": openai}}}, policies=[policy()])
    forms = [body | {"stream": is_stream} for is_stream in (is_stream_first, not is_stream_first)]
    replies = [world.ask(form, path=path) for form in forms]
    stream, whole = reversed(replies) if not is_stream_first else replies

    assert replies[1].headers["x-llm-mesh-cache"] == "hit"
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert (b"A net." in whole.body, end in stream.body) == (True, True)
    assert whole.json()["usage"]["output_tokens"] == 6
    assert len(world.primary.requests) == 1


def test_json_that_a_provider_sends_instead_of_a_stream_is_kept(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])

    assert results(world, STREAMED, STREAMED, ASKED) == ["miss", "hit", "hit"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, body=error_body("broken")),
        Answer(400, body=error_body("bad")),
        Answer(body=chat_completion("cut", finish_reason="length")),
        Answer(body=chat_completion("no", finish_reason="content_filter")),
        REFUSED,
        Answer(body=error_body("overloaded")),
        Stream(EVENTS[:2], end="fin"),
        Stream(EVENTS[:2], end="reset"),
        Cut(),
    ],
)
def test_what_is_not_complete_and_good_is_never_kept(world: World, answer: Any) -> None:
    world.primary.always(answer)
    world.start(rule("only", retry={"attempts": 1}), policies=[policy()])
    body = STREAMED if isinstance(answer, Stream) else ASKED
    world.ask(body)
    world.primary.always(WHOLE)

    assert world.ask(ASKED).headers["x-llm-mesh-cache"] == "miss"


def test_a_response_that_refuses_is_not_kept(world: World) -> None:
    part = {"type": "refusal", "refusal": "I cannot help."}
    item = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
    refusal = {"id": "r", "object": "response", "status": "completed", "output": [item]}
    world.primary.always(Answer(body=refusal))
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["responses"]}
    world.start(spec={"configs": {"defaultConfig": {"openAIConfig": openai}}}, policies=[policy()])
    asked = {"input": "What is a mesh?", "store": False}
    told = [world.ask(asked, path="/v1/responses").headers["x-llm-mesh-cache"] for _ in range(2)]

    assert told == ["miss", "miss"]


@pytest.mark.notices_at_once
def test_a_stream_whose_client_leaves_is_not_kept(world: World) -> None:
    gate = Gate()
    world.primary.always(Stream([*EVENTS[:1], gate, *EVENTS[1:]]))
    world.start(policies=[policy()])
    leaver = world.call(Ask(STREAMED))
    pieces = leaver.pieces()  # kept: some libraries leave with the iterator
    next(pieces)
    leaver.leave()
    assert world.primary.requests[0].wait_disconnected()
    gate.open()
    world.primary.always(WHOLE)

    assert results(world, ASKED, ASKED) == ["miss", "hit"]


def test_what_a_guard_denies_and_what_a_mirror_says_is_never_kept(world: World) -> None:
    world.primary.always(Answer(body=chat_completion("About heron.")))
    world.fallback.always(Answer(body=chat_completion("From the mirror.")))
    words = {"name": "words", "on": ["response"], "keywords": {"deny": ["heron"]}}
    copies = [{"providerHost": "fallback.example", "percent": 100}]
    world.start(rule("only", mirrors=copies), policies=[policy(guards=[words])])
    assert [world.ask(ASKED).status, world.ask(STREAMED).status] == [403, 403]
    assert len(world.primary.requests) == 2

    world.primary.always(WHOLE)
    assert [content(world.ask(ASKED).body) for _ in range(3)] == ["A net."] * 3
    assert len(world.primary.requests) == 3


@pytest.mark.inbound
def test_consumers_do_not_share_unless_they_are_told_to(world: World) -> None:
    world.primary.always(WHOLE)
    keys = {"a": "key-of-a-123456", "b": "key-of-b-123456"}
    world.start(policies=[policy({"vary": ["consumer"]})], client_keys=keys, access="keys")

    told = [
        world.ask(ASKED, headers=[("authorization", f"Bearer {keys[name]}")]).headers[
            "x-llm-mesh-cache"
        ]
        for name in ("a", "b", "a", "b")
    ]

    assert told == ["miss", "miss", "hit", "hit"]


def test_without_what_separates_them_requests_are_not_cached(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy({"vary": ["attribute:team"]})])

    assert results(world, ASKED, ASKED) == ["bypass", "bypass"]


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("no-cache", ["miss", "miss", "hit"]),
        ("no-store", ["bypass", "bypass", "miss"]),
        ("max-age=60", ["miss", "hit", "hit"]),
        ("nonsense, max-age=x", ["miss", "hit", "hit"]),
    ],
)
def test_a_client_may_ask_for_less(world: World, directive: str, expected: list[str]) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])
    asked = results(world, ASKED, ASKED, headers=[("cache-control", directive)])

    assert [*asked, *results(world, ASKED)] == expected


def test_only_if_cached_never_calls(world: World) -> None:
    world.primary.always(WHOLE)
    world.start(policies=[policy()])
    only = [("cache-control", "only-if-cached")]

    assert world.ask(ASKED, headers=only).code == "cache_miss"
    world.ask(ASKED)
    assert world.ask(ASKED, headers=only).status == 200
    assert len(world.primary.requests) == 1


def test_tool_calls_are_kept_only_where_that_is_said(world: World) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    world.primary.always(Answer(body=json.dumps({"id": "c", "choices": [choice]}).encode()))
    world.start(policies=[policy()])
    assert results(world, ASKED, ASKED) == ["miss", "miss"]

    world.start(policies=[policy({"toolCalls": True})])
    assert results(world, ASKED, ASKED) == ["miss", "hit"]
