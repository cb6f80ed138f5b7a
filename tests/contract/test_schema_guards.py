"""Answers that must fit a schema, as clients of every dialect see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import Answer, Stream, assert_blocked, chat_completion, chat_stream
from tests.contract.conftest import World
from tests.resilience.meshes import key_of

pytest.importorskip("jsonschema_rs")

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOD, BAD = '{"city": "Ulm"}', '{"city": 89073}'
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Where?"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Where?"}]}]}
FORMS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": ASKED,
    "/v1/messages": ASKED | {"max_tokens": 9},
    "/v1/responses": {"input": "Where?"},
    "/v1beta/models/m:generateContent": CONTENTS,
    "/v1beta/models/m:streamGenerateContent?alt=sse": CONTENTS,
}


def start(world: World, **guard: Any) -> None:
    item = {"name": "shape", "schema": {"answer": CITY}, **guard}
    policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": {"guards": [item]}})
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["chat"]}
    world.start(spec={"configs": {"defaultConfig": {"openAIConfig": openai}}}, policies=[policy])


def says(world: World, text: str, *, is_stream: bool) -> None:
    pieces = [text[:3], text[3:]]
    world.primary.always(
        Stream(chat_stream(pieces)) if is_stream else Answer(body=chat_completion(text))
    )


@pytest.mark.parametrize("path", FORMS)
def test_a_whole_or_streamed_answer_fits_or_is_not_sent(world: World, path: str) -> None:
    start(world)
    for is_stream in (False, True):
        body = FORMS[path]
        if "v1beta" not in path:
            body = body | {"stream": is_stream}
        elif is_stream is not ("stream" in path):
            continue
        says(world, GOOD, is_stream=is_stream)
        assert b"Ulm" in world.ask(body, path=path).body

        says(world, BAD, is_stream=is_stream)
        refused = world.ask(body, path=path)
        assert b"89073" not in refused.body
        assert b"shape" in refused.body
        if not is_stream:
            assert refused.status == 403


def test_a_stream_that_fits_keeps_its_bytes(world: World) -> None:
    says(world, GOOD, is_stream=True)
    world.start()
    plain = world.ask(ASKED | {"stream": True}).body
    start(world)

    assert world.ask(ASKED | {"stream": True}).body == plain


def test_the_refusal_says_where_the_schema_fails(world: World) -> None:
    start(world)
    says(world, BAD, is_stream=False)

    refused = world.ask(ASKED)

    assert_blocked(refused, guard="shape")
    message = json.loads(refused.body)["error"]["message"]
    assert message.endswith("does not fit: properties/city/type in its schema")


def test_a_guard_that_logs_lets_pass_and_tells(world: World) -> None:
    start(world, action={"log": {}})
    says(world, "Ulm", is_stream=False)

    reply = world.ask(ASKED)

    assert reply.status == 200
    assert reply.headers["x-llm-mesh-guards"] == "logged shape"


def test_an_error_of_the_provider_is_shown(world: World) -> None:
    start(world)
    world.primary.always(Answer(400, body=b'{"error": {"message": "bad"}}'))

    assert world.ask(ASKED).status == 400
