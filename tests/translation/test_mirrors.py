"""Mirrors of every dialect get copies of requests of every form that clients have."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware._core.flow.mirrors.layer import may_be_copied
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._dialects import anthropic, gemini, openai_chat, openai_responses
from llm_mesh_middleware._dialects.openai_responses.two_forms import split_response
from llm_mesh_middleware.observing import ClientRequest, MirrorOutcome, Observation
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    RecordedRequest,
    Stream,
    chat_completion,
)
from tests.canaries import canary
from tests.translation.dialect_table import PROVIDERS

SAID = "Hello"
KEY = canary("mirrors")


@dataclass(frozen=True)
class Double:
    """A provider that says `SAID`, whole or as a stream."""

    spec: dict[str, Any]
    whole: Any
    stream: Callable[[], Stream]

    def respond(self, request: RecordedRequest) -> Answer | Stream:
        if request.target.endswith(":streamGenerateContent"):
            return Answer(body=[self.whole])
        is_stream = "stream" in request.path or request.json().get("stream")
        return self.stream() if is_stream else Answer(body=self.whole)


def spec(field: str, path: str | None = None, **config: Any) -> dict[str, Any]:
    configs = {"defaultConfig": {field: {"apiKey": KEY, "model": "other", **config}}}
    return {"configs": configs} | ({} if path is None else {"path": path})


def said_by(model: str) -> Callable[[], Stream]:
    return lambda: PROVIDERS[model].plays("Hm", SAID, ())


TEXT = {"type": "output_text", "text": SAID, "annotations": []}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "other",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [TEXT],
        }
    ],
    "usage": {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "other",
    "content": [{"type": "text", "text": SAID}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 5},
}
CONTENT = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14},
}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": SAID}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14},
}
DOUBLES = {
    "chat": Double(spec("openAIConfig", apis=["chat"]), chat_completion(SAID), said_by("chat")),
    "responses": Double(
        spec("openAIConfig", "/v1/responses", apis=["responses"]),
        RESPONSE,
        lambda: Stream([split_response(json.dumps(RESPONSE).encode())]),
    ),
    "anthropic": Double(spec("anthropicConfig"), MESSAGE, said_by("messages")),
    "gemini": Double(spec("geminiConfig"), CONTENT, said_by("gemini")),
    "bedrock": Double(spec("bedrockConfig", region="r"), CONVERSED, said_by("bedrock")),
    "azure": Double(
        spec("azureOpenAIConfig", apiVersion="v1"), chat_completion(SAID), said_by("chat")
    ),
}

TURNS = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"messages": TURNS}
INPUT: dict[str, Any] = {"input": "Hi", "store": False}
MESSAGES: dict[str, Any] = {"messages": TURNS, "max_tokens": 9}
CONTENTS: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
STREAM = {"stream": True}
GENERATE = "/v1beta/models/m:streamGenerateContent"
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat, stream": ("/v1/chat/completions", CHAT | STREAM),
    "responses": ("/v1/responses", INPUT),
    "responses, stream": ("/v1/responses", INPUT | STREAM),
    "messages": ("/v1/messages", MESSAGES),
    "messages, stream": ("/v1/messages", MESSAGES | STREAM),
    "generateContent": ("/v1beta/models/m:generateContent", CONTENTS),
    "streamGenerateContent, events": (f"{GENERATE}?alt=sse", CONTENTS),
    "streamGenerateContent, array": (GENERATE, CONTENTS),
}


class Outcomes(Observation):
    """Waits for what came of copies."""

    def __init__(self) -> None:
        self.told: list[MirrorOutcome] = []
        self._news = threading.Condition()

    def __call__(self, request: ClientRequest) -> Observation:
        return self

    def mirrored(self, outcome: MirrorOutcome) -> None:
        with self._news:
            self.told.append(outcome)
            self._news.notify_all()

    def wait(self) -> MirrorOutcome:
        with self._news:
            assert self._news.wait_for(lambda: self.told, 10)
            return self.told[0]


@contextmanager
def mirroring(primary: FakeUpstream, mirror: FakeUpstream, double: Double) -> Iterator[Mesh]:
    """A mesh whose primary speaks chat completions, with a mirror of any dialect."""
    primary.always(DOUBLES["chat"].respond)
    mirror.always(double.respond)
    specs = {"primary": (primary, DOUBLES["chat"].spec), "mirror": (mirror, double.spec)}
    providers = [
        LLMProvider.model_validate(
            {
                "metadata": {"name": name},
                "spec": {"host": f"{name}.example", "endpoint": upstream.url, **own},
            }
        )
        for name, (upstream, own) in specs.items()
    ]
    rule = {
        "backendRefs": [{"providerHost": "primary.example"}],
        "mirrors": [{"providerHost": "mirror.example", "compareContent": True}],
    }
    route = LLMRoute.model_validate(
        {"metadata": {"name": "llm"}, "spec": {"host": "llm", "rules": [rule]}}
    )
    mesh = Mesh([*providers, route], settings=MeshSettings())
    yield mesh
    mesh.close()


@pytest.fixture(scope="module")
def other_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


@pytest.mark.parametrize("provider", DOUBLES)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_dialect_gets_copies_of_every_form(
    kept_upstream: FakeUpstream, other_upstream: FakeUpstream, client: str, provider: str
) -> None:
    other_upstream.clear()
    path, body = CLIENTS[client]
    with mirroring(kept_upstream, other_upstream, DOUBLES[provider]) as mesh:
        outcomes = Outcomes()
        mesh.observe(outcomes)
        with httpx.Client(transport=MeshTransport(mesh)) as asking:
            reply = asking.post(f"http://llm{path}", json={"model": "m", **body})
        assert reply.status_code == 200
        assert SAID in reply.text
        outcome = outcomes.wait()
    assert (outcome.provider, outcome.result) == ("mirror", "success")
    assert outcome.has_same_finish
    assert outcome.mirror is not None
    assert outcome.mirror.usage is not None
    assert len(other_upstream.requests) == 1
    # An array is a stream whose pieces nobody joins.
    assert outcome.has_same_content is (None if client.endswith("array") else True)


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "pause_turn"])
@pytest.mark.parametrize("side", [openai_chat, openai_responses, anthropic, gemini])
def test_shared_words_for_ends_stay_as_they_are_or_become_the_plainest(
    side: Any, reason: str
) -> None:
    finish = side.DIALECT.answers.finish
    assert finish(finish(reason)) == finish(reason)
    assert finish(reason) in (reason, "stop")


@pytest.mark.parametrize(
    ("side", "own", "shared"),
    [
        (openai_chat, "function_call", "tool_calls"),
        (anthropic, "end_turn", "stop"),
        (anthropic, "tool_use", "tool_calls"),
        (anthropic, "max_tokens", "length"),
        (anthropic, "refusal", "content_filter"),
        (gemini, "STOP", "stop"),
        (gemini, "MAX_TOKENS", "length"),
        (gemini, "SAFETY", "content_filter"),
        (gemini, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_own_words_for_ends_become_the_shared_ones(side: Any, own: str, shared: str) -> None:
    assert side.DIALECT.answers.finish(own) == shared


@pytest.mark.parametrize("side", [anthropic, gemini])
def test_counts_of_tokens_are_not_copied(side: Any) -> None:
    operation = next(each for each in side.OPERATIONS if each.name == "count_tokens")
    request = ClientRequest("POST", "/", Headers(()), operation=operation)
    assert not may_be_copied(operation, request)
