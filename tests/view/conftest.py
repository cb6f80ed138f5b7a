"""A mesh with two providers on plain HTTP, watched by a view, and calls through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import FakeUpstream
from llm_mesh_middleware.view._watching.hub import Hub
from tests.canaries import canary

API = "istio.alibabacloud.com/v1"
HOST = "llm.example"
PATH = "/v1/chat/completions"


def provider(name: str, url: str, **spec: object) -> LLMProvider:
    """The provider `name`.example, with a key of its own."""
    config = {"model": f"{name}-model", "apiKey": canary(f"view {name}")}
    given = {
        "host": f"{name}.example",
        "path": PATH,
        "endpoint": url,
        "configs": {"defaultConfig": {"openAIConfig": config}},
    }
    document = {"apiVersion": API, "kind": "LLMProvider", "metadata": {"name": name}}
    return LLMProvider.model_validate({**document, "spec": given | spec})


def route(*rules: object, host: str = HOST) -> LLMRoute:
    document = {"apiVersion": API, "kind": "LLMRoute", "metadata": {"name": f"route-of-{host}"}}
    return LLMRoute.model_validate({**document, "spec": {"host": host, "rules": list(rules)}})


VIP = {
    "name": "vip",
    "matches": [{"headers": {"user-type": {"exact": "vip"}}}],
    "backendRefs": [{"providerHost": "a.example"}],
}
SPLIT = {
    "name": "split",
    "backendRefs": [
        {"providerHost": "a.example", "weight": 75},
        {"providerHost": "b.example", "weight": 25},
    ],
}


@dataclass
class Watched:
    """A mesh, the hub that watches it, and its providers."""

    a: FakeUpstream
    b: FakeUpstream
    mesh: Mesh
    hub: Hub
    client: httpx.Client
    statuses: list[int] = field(default_factory=list)

    def call(self, text: str = "hello", *, headers: Any = None, **body: object) -> httpx.Response:
        """Make one call."""
        asked = {"messages": [{"role": "user", "content": text}], **body}
        response = self.client.post(f"http://{HOST}{PATH}", json=asked, headers=headers)
        self.statuses.append(response.status_code)
        return response


@pytest.fixture
def upstreams() -> Iterator[tuple[FakeUpstream, FakeUpstream]]:
    with FakeUpstream(tls=False) as a, FakeUpstream(tls=False) as b:
        yield a, b


@pytest.fixture
def watched(upstreams: tuple[FakeUpstream, FakeUpstream]) -> Iterator[Watched]:
    a, b = upstreams
    documents = (provider("a", a.url), provider("b", b.url), route(VIP, SPLIT))
    mesh = Mesh(documents, settings=MeshSettings(), rng=iter([0.1, 0.9] * 10_000).__next__)
    hub = Hub(mesh)
    mesh.observe(hub)
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        yield Watched(a, b, mesh, hub, client)
    mesh.close()
