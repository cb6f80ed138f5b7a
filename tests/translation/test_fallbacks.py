"""Backends of different dialects behind one rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
import pytest

from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.canaries import canary
from tests.translation.messages_shapes import message, text

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEY = canary("fallbacks")


def provider(name: str, path: str, upstream: FakeUpstream) -> LLMProvider:
    config = {"defaultConfig": {"openAIConfig": {"apiKey": KEY}}}
    spec = {"host": f"{name}.example", "path": path, "endpoint": upstream.url, "configs": config}
    return LLMProvider.model_validate({"metadata": {"name": name}, "spec": spec})


@contextmanager
def two(claude: FakeUpstream, gpt: FakeUpstream) -> Iterator[openai.OpenAI]:
    """A client of chat completions before Anthropic, with chat as the fallback."""
    refs = [
        {"providerHost": "claude.example", "priority": 0},
        {"providerHost": "gpt.example", "priority": 1},
    ]
    rules = [{"backendRefs": refs, "retry": {"attempts": 1}}]
    spec = {"host": "llm", "rules": rules}
    route = LLMRoute.model_validate({"metadata": {"name": "llm"}, "spec": spec})
    providers = [
        provider("claude", "/v1/messages", claude),
        provider("gpt", "/v1/chat/completions", gpt),
    ]
    mesh = Mesh([*providers, route], settings=MeshSettings())
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        yield openai.OpenAI(
            base_url="http://llm/v1", api_key="client", max_retries=0, http_client=client
        )
    mesh.close()


@pytest.fixture
def upstreams() -> Iterator[tuple[FakeUpstream, FakeUpstream]]:
    with FakeUpstream(tls=False) as claude, FakeUpstream(tls=False) as gpt:
        claude.always(Answer(body=message(text("from claude"))))
        gpt.always(Answer(body=chat_completion("from gpt")))
        yield claude, gpt


def test_a_field_that_one_dialect_lacks_goes_to_a_backend_that_has_it(
    upstreams: tuple[FakeUpstream, FakeUpstream],
) -> None:
    claude, gpt = upstreams
    with two(claude, gpt) as client:
        got = client.chat.completions.create(**ASK, n=2)
        assert got.choices[0].message.content == "from gpt"
        assert (len(claude.requests), gpt.requests[-1].json()["n"]) == (0, 2)
        got = client.chat.completions.create(**ASK)
        assert got.choices[0].message.content == "from claude"


@pytest.mark.parametrize("status", [529, 503, 429])
def test_a_provider_that_fails_is_replaced_by_one_of_another_dialect(
    upstreams: tuple[FakeUpstream, FakeUpstream], status: int
) -> None:
    claude, gpt = upstreams
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    claude.always(Answer(status, (), error))
    with two(claude, gpt) as client:
        got = client.chat.completions.create(**ASK)
        assert got.choices[0].message.content == "from gpt"
        assert "anthropic-version" not in dict(gpt.requests[-1].headers)
