"""A client's SDK, the mesh, and one provider of another dialect on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import httpx2
import openai

from llm_mesh_httpx import MeshTransport as ClassicTransport
from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, Stream
from tests.canaries import canary
from tests.translation.judging import check_sent

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "Event", "World", "events", "make_world"]

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
KEY = canary("translation")

Event = Mapping[str, Any]


def events(*given: Event | bytes) -> list[bytes]:
    """Write events as the dialects have them: those with a type are named by it."""
    return [one if isinstance(one, bytes) else _event(one) for one in given]


def _event(event: Event) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


@dataclass(frozen=True)
class World:
    """One provider behind the virtual host `llm`."""

    upstream: FakeUpstream
    client: httpx2.Client
    httpx_client: httpx.Client

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            base_url="http://llm", api_key="client", max_retries=0, http_client=self.client
        )

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url="http://llm/v1", api_key="client", max_retries=0, http_client=self.client
        )

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx2.Response:
        """Send a request without an SDK."""
        return self.client.post(f"http://llm{path}", json=dict(body), headers=headers)

    def answers(
        self, body: Mapping[str, Any], status: int = 200, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Let the provider answer with a whole body."""
        self.upstream.always(Answer(status, headers, body))

    def streams(self, *given: Event | bytes) -> None:
        """Let the provider answer with events."""
        self.upstream.always(Stream(events(*given)))

    def asked(self) -> dict[str, Any]:
        """Return what the provider was sent last; its own SDK's types have judged it."""
        request = self.upstream.requests[-1]
        body = json.loads(request.body)
        check_sent(request.path, body)
        return dict(body)


@contextmanager
def make_world(upstream: FakeUpstream, path: str, **config: Any) -> Iterator[World]:
    """Run a mesh before a provider whose own path says which dialect it speaks."""
    settings = {"apiKey": KEY, **config}
    provider = LLMProvider.model_validate(
        {
            "metadata": {"name": "provider"},
            "spec": {
                "host": "provider.example",
                "path": path,
                "endpoint": upstream.url,
                "configs": {"defaultConfig": {"openAIConfig": settings}},
            },
        }
    )
    rules = [{"backendRefs": [{"providerHost": "provider.example"}]}]
    route = LLMRoute.model_validate(
        {"metadata": {"name": "llm"}, "spec": {"host": "llm", "rules": rules}}
    )
    mesh = Mesh([provider, route], settings=MeshSettings())
    with (
        httpx2.Client(transport=MeshTransport(mesh)) as client,
        httpx.Client(transport=ClassicTransport(mesh)) as httpx_client,
    ):
        yield World(upstream, client, httpx_client)
    mesh.close()
