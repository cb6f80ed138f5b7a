"""Gemini on both sides: Google's SDK reads through the mesh what it reads without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware.testing import Answer, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench

KEY = canary("gemini")
USAGE = {
    "promptTokenCount": 5,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 2,
    "cachedContentTokenCount": 1,
    "totalTokenCount": 14,
}


def content(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1", **more}


ANSWER = content({"text": "Grüezi"}, finish="STOP", usageMetadata=USAGE)
EVENTS = [
    content({"text": "hm", "thought": True}),
    content({"text": "Grü"}),
    content({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}),
    content({"text": ""}, finish="STOP", usageMetadata=USAGE),
]
STREAM = b"".join(b"data: %s\r\n\r\n" % json.dumps(event).encode() for event in EVENTS)


@pytest.fixture(scope="module")
def studio() -> Iterator[Bench]:
    with bench({"geminiConfig": {"apiKey": KEY}}) as made:
        yield made


@pytest.fixture(scope="module")
def vertex() -> Iterator[Bench]:
    place = {"project": "p", "location": "l", "accessToken": KEY}
    config = {"model": "mine", "vertex": place, "defaults": {"safetySettings": []}}
    with bench({"geminiConfig": config}) as made:
        yield made


def sdk(made: Bench) -> genai.Client:
    options = types.HttpOptions(
        base_url=f"http://{HOST}",
        httpx_client=httpx.Client(transport=MeshTransport(made.mesh)),
    )
    return genai.Client(api_key="theirs", http_options=options)


def test_the_sdk_generates_through_the_mesh(studio: Bench) -> None:
    studio.answer(Answer(200, body=ANSWER))
    made = sdk(studio).models.generate_content(model="gemini-x", contents="Hi")
    assert made.text == "Grüezi"
    assert made.usage_metadata is not None
    assert made.usage_metadata.thoughts_token_count == 2
    asked = studio.asked
    assert asked.path == "/v1beta/models/gemini-x:generateContent"
    assert asked.header("x-goog-api-key") == KEY
    types.GenerateContentResponse.model_validate(ANSWER)
    assert [part["text"] for part in asked.json()["contents"][0]["parts"]] == ["Hi"]


def test_the_sdk_streams_through_the_mesh(studio: Bench) -> None:
    studio.answer(Stream([STREAM[i : i + 9] for i in range(0, len(STREAM), 9)]))
    chunks = list(sdk(studio).models.generate_content_stream(model="m", contents="Hi"))
    assert len(chunks) == 4
    assert chunks[2].function_calls[0].args == {"a": 1}
    assert chunks[2].candidates[0].content.parts[0].thought_signature == b"sig"
    assert studio.asked.target == "/v1beta/models/m:streamGenerateContent?alt=sse"


def test_the_sdk_counts_tokens_through_the_mesh(studio: Bench) -> None:
    studio.answer(Answer(200, body={"totalTokens": 31}))
    assert sdk(studio).models.count_tokens(model="m", contents="Hi").total_tokens == 31
    assert studio.asked.path == "/v1beta/models/m:countTokens"


@pytest.mark.parametrize(
    ("method", "query", "answer"),
    [
        ("generateContent", "", Answer(200, body=ANSWER)),
        ("streamGenerateContent", "?alt=sse", Stream([STREAM])),
        ("streamGenerateContent", "", Answer(200, body=json.dumps([ANSWER, ANSWER]))),
        ("countTokens", "", Answer(200, body={"totalTokens": 1})),
    ],
)
def test_bytes_pass_both_ways_with_model_and_path_alone_changed(
    vertex: Bench, method: str, query: str, answer: Any
) -> None:
    body = b'{"contents":[{"parts":[{"text":"\\u00fc","x":1e0}]}],"labels":{}}'
    vertex.answer(answer)
    url = f"http://{HOST}/v1beta/models/theirs:{method}{query}"
    got = vertex.client.post(url, content=body, headers={"x-goog-api-key": "k"})
    base = "/v1/projects/p/locations/l/publishers/google/models"
    assert vertex.asked.target == f"{base}/mine:{method}{query}"
    added = b"" if method == "countTokens" else b',"safetySettings":[]'
    assert vertex.asked.body == body[:-1] + added + b"}"
    assert vertex.asked.header("authorization") == f"Bearer {KEY}"
    assert got.headers["x-llm-mesh-model"] == "mine"
    wanted = STREAM if isinstance(answer, Stream) else answer.body
    assert got.content == wanted or got.json() == wanted or got.content.decode() == wanted


@pytest.mark.parametrize("name", ["a/b", "..", "x?y=1", "m:generateContent", "ü"])
def test_a_name_of_a_model_cannot_leave_its_segment(studio: Bench, name: str) -> None:
    studio.answer(Answer(200, body=ANSWER))
    config = {"geminiConfig": {"apiKey": KEY, "modelMapping": {"asked": name}}}
    with bench(config) as made:
        made.answer(Answer(200, body=ANSWER))
        url = f"http://{HOST}/v1beta/models/asked:generateContent"
        got = made.client.post(url, json={"contents": []})
        if name == "..":
            assert got.status_code == 400
            assert got.json()["error"]["status"] == "INVALID_ARGUMENT"
            return
        (segment,) = [made.asked.target.removeprefix("/v1beta/models/")]
        assert "/" not in segment
        assert "?" not in segment


@pytest.mark.parametrize(
    ("status", "word", "error"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (403, "PERMISSION_DENIED", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, "INTERNAL", errors.ServerError),
        (503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_the_sdk_raises_the_providers_error(
    studio: Bench, status: int, word: str, error: type[errors.APIError]
) -> None:
    body = {"error": {"code": status, "message": "their words", "status": word}}
    studio.upstream.clear()
    studio.upstream.always(Answer(status, body=body))
    try:
        with pytest.raises(error, match="their words") as raised:
            sdk(studio).models.generate_content(model="m", contents="Hi")
    finally:
        studio.upstream.always(None)
    assert (raised.value.code, raised.value.status) == (status, word)


def test_the_meshs_own_errors_are_googles(studio: Bench) -> None:
    got = studio.client.post(f"http://{HOST}/v1/models/m:generateContent", content=b"[]")
    assert got.json()["error"]["status"] == "INVALID_ARGUMENT"


CUTS = [
    (Stream([STREAM[: STREAM.index(b"STOP")]], end="fin"), "broke off"),
    (Stream([STREAM[: STREAM.index(b"STOP")]]), "too early"),
    (Stream([STREAM.replace(b"functionCall", b"functionCall\x00")]), "not JSON"),
]


@pytest.mark.parametrize(("answer", "message"), CUTS)
def test_a_stream_that_is_cut_off_ends_with_an_error(
    studio: Bench, answer: Stream, message: str
) -> None:
    studio.answer(answer)
    url = f"http://{HOST}/v1beta/models/m:streamGenerateContent?alt=sse"
    with studio.client.stream("POST", url, json={"contents": []}) as response:
        got = b"".join(response.iter_raw())
    last = got.rstrip().rpartition(b"data: ")[2]
    assert message in json.loads(last)["error"]["message"]


def test_a_deployment_in_the_path_is_the_model_of_the_request() -> None:
    with bench({"openAIConfig": {"apiKey": KEY, "modelMapping": {"gpt-eu": "real"}}}) as made:
        made.answer(Answer(200, body={"choices": []}))
        url = f"http://{HOST}/openai/deployments/gpt-eu/chat/completions?api-version=1"
        made.client.post(url, json={"messages": []}, headers={"api-key": "theirs"})
        assert made.asked.json() == {"messages": [], "model": "real"}
        assert made.asked.header("api-key") is None
