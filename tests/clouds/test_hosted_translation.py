"""Clients of other dialects on Claude models of Bedrock and of Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.test_anthropic_hosting import FRAMED, FRAMES, MESSAGE, PLAIN
from tests.translation.judging import check_sent

KEY = canary("hosted")
ASK: Any = {
    "model": "claude",
    "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
}
HOSTS: dict[str, tuple[dict[str, Any], str, str, str, Stream]] = {
    "bedrock": (
        {"bedrockConfig": {"region": "r", "api": "invoke", "apiKey": KEY}},
        "bedrock-2023-05-31",
        "/model/claude/invoke",
        "/model/claude/invoke-with-response-stream",
        Stream([FRAMED], headers=FRAMES),
    ),
    "vertex": (
        {"anthropicConfig": {"vertex": {"project": "p", "location": "l", "accessToken": KEY}}},
        "vertex-2023-10-16",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict",
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict",
        Stream([PLAIN]),
    ),
}


@pytest.fixture(scope="module", params=HOSTS)
def hosted(request: pytest.FixtureRequest) -> Iterator[tuple[str, Bench]]:
    with bench(HOSTS[request.param][0]) as made:
        yield request.param, made


def sdk(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )


def sent(made: Bench, version: str) -> dict[str, Any]:
    """The body without what the host wants in it, which Anthropic's own types judge."""
    body = dict(made.asked.json())
    assert body.pop("anthropic_version") == version
    assert "model" not in body
    assert made.asked.header("anthropic-version") is None
    assert made.asked.header("authorization") == f"Bearer {KEY}"
    check_sent("/messages", body | {"model": "claude"})
    return body


def test_a_completion_comes_in_the_envelope_of_the_host(hosted: tuple[str, Bench]) -> None:
    name, made = hosted
    _, version, path, _, _ = HOSTS[name]
    made.answer(Answer(200, body=MESSAGE))
    got = sdk(made).chat.completions.create(**ASK, seed=7)
    assert got.choices[0].message.content == "Héllo"
    assert made.asked.path == path
    assert sent(made, version)["system"] == "Be brief"


def test_a_stream_comes_in_the_frames_of_the_host(hosted: tuple[str, Bench]) -> None:
    name, made = hosted
    _, version, _, path, stream = HOSTS[name]
    made.answer(stream)
    chunks = list(sdk(made).chat.completions.create(**ASK, stream=True))
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == "Héllo"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert made.asked.path == path
    sent(made, version)


def test_a_response_is_streamed_from_a_host(hosted: tuple[str, Bench]) -> None:
    name, made = hosted
    made.answer(HOSTS[name][4])
    events = list(sdk(made).responses.create(model="claude", input="Hi", store=False, stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Héllo"
    sent(made, HOSTS[name][1])
