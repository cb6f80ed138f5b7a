"""Counts of tokens, by providers of other dialects than the client's; their types judge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anthropic
import httpx
import pytest
from anthropic.types import message_count_tokens_params as messages_params
from botocore.validate import ParamValidator
from google import genai
from google.genai import types
from openai.types.responses import input_token_count_params as responses_params
from pydantic import TypeAdapter

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware.testing import Answer, RecordedRequest
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.converse import MODEL, as_parameters

KEY = canary("counting")
ASK: Any = {
    "model": "asked",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "How long is this?"}],
    "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
}
VERTEX = {"project": "p", "location": "l", "accessToken": KEY}
OF_VERTEX = "/v1/projects/p/locations/l/publishers"


def of_gemini(body: Any) -> Any:
    inner = body["generateContentRequest"]
    assert inner.pop("model") == "models/m"
    return of_vertex(inner)


def of_vertex(body: Any) -> Any:
    types.Content.model_validate(body["contents"][0])
    types.Content.model_validate(body["systemInstruction"])
    types.Tool.model_validate(body["tools"][0])
    assert not body.keys() - {"contents", "systemInstruction", "tools"}
    return body


def of_bedrock(body: Any) -> Any:
    shape = MODEL.shape_for("CountTokensRequest")
    report = ParamValidator().validate(as_parameters({**body, "modelId": "m:0"}, shape), shape)
    assert not report.has_errors(), report.generate_report()
    return body


def of_responses(body: Any) -> Any:
    assert not body.keys() - responses_params.InputTokenCountParams.__annotations__.keys()
    return body


def of_messages(body: Any) -> Any:
    assert body.pop("anthropic_version") == "vertex-2023-10-16"
    TypeAdapter(messages_params.MessageCountTokensParams).validate_python(body)
    return body


@dataclass(frozen=True)
class Counts:
    """A provider that counts: its path, its answer, and who judges what it is sent."""

    config: dict[str, Any]
    path: str
    answer: dict[str, Any]
    judge: Callable[[Any], Any]


COUNTS = {
    "gemini": Counts(
        {"geminiConfig": {"model": "m", "apiKey": KEY}},
        "/v1beta/models/m:countTokens",
        {"totalTokens": 42},
        of_gemini,
    ),
    "gemini on vertex": Counts(
        {"geminiConfig": {"model": "m", "vertex": VERTEX}},
        f"{OF_VERTEX}/google/models/m:countTokens",
        {"totalTokens": 42, "totalBillableCharacters": 9},
        of_vertex,
    ),
    "bedrock": Counts(
        {"bedrockConfig": {"model": "m:0", "region": "r", "apiKey": KEY}},
        "/model/m:0/count-tokens",
        {"inputTokens": 42},
        of_bedrock,
    ),
    "claude on bedrock": Counts(
        {"bedrockConfig": {"model": "m:0", "region": "r", "apiKey": KEY, "api": "invoke"}},
        "/model/m:0/count-tokens",
        {"inputTokens": 42},
        of_bedrock,
    ),
    "claude on vertex": Counts(
        {"anthropicConfig": {"model": "m", "vertex": VERTEX}},
        f"{OF_VERTEX}/anthropic/models/count-tokens:rawPredict",
        {"input_tokens": 42},
        of_messages,
    ),
    "responses": Counts(
        {"openAIConfig": {"model": "m", "apiKey": KEY, "apis": ["responses"]}},
        "/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 42},
        of_responses,
    ),
}


def counted(made: Bench) -> tuple[int, Any]:
    sdk = anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )
    raw = sdk.messages.with_raw_response.count_tokens(**ASK)
    return raw.parse().input_tokens, raw.headers


def asked_of(request: RecordedRequest) -> str:
    assert KEY in "".join(value for _, value in request.headers)
    assert request.header("anthropic-beta") is None
    return unquote(request.path)


@pytest.mark.parametrize("name", COUNTS)
def test_a_provider_that_can_count_is_asked(name: str) -> None:
    case = COUNTS[name]
    with bench(case.config) as made:
        made.answer(Answer(body=case.answer))
        tokens, headers = counted(made)
        assert (tokens, "x-llm-mesh-estimated" in headers) == (42, False)
        assert asked_of(made.asked) == case.path
        assert "How long is this?" in json.dumps(case.judge(made.asked.json()))


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("name", COUNTS)
def test_a_model_that_cannot_be_counted_for_is_estimated(name: str, status: int) -> None:
    with bench(COUNTS[name].config) as made:
        made.answer(Answer(status, body={"message": "not for this model"}))
        tokens, headers = counted(made)
        assert tokens > 10
        assert headers["x-llm-mesh-estimated"] == "input_tokens"


def test_an_error_of_a_count_is_told_in_the_clients_form() -> None:
    with bench(COUNTS["gemini"].config) as made:
        made.upstream.always(Answer(429, [("retry-after", "60")], {"error": {"message": "slow"}}))
        with pytest.raises(anthropic.RateLimitError, match="slow") as raised:
            counted(made)
        assert raised.value.response.headers["retry-after"] == "60"


@pytest.mark.parametrize("body", [{}, {"totalTokens": "many"}, [], "no JSON"])
def test_an_answer_without_a_count_is_no_count(body: Any) -> None:
    with bench(COUNTS["gemini"].config) as made:
        made.upstream.always(Answer(200, [("content-type", "application/json")], json.dumps(body)))
        with pytest.raises(anthropic.InternalServerError, match="without a count of tokens"):
            counted(made)


def test_a_client_of_gemini_is_told_what_claude_counts() -> None:
    config = {"anthropicConfig": {"model": "claude", "apiKey": KEY}}
    with bench(config) as made, httpx.Client(transport=MeshTransport(made.mesh)) as http:
        made.answer(Answer(body={"input_tokens": 42}))
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        sdk = genai.Client(api_key="none", http_options=options)
        assert sdk.models.count_tokens(model="asked", contents="Hi").total_tokens == 42
        assert made.asked.path == "/v1/messages/count_tokens"
        (said,) = made.asked.json()["messages"]
        assert said["content"] == [{"type": "text", "text": "Hi"}]
