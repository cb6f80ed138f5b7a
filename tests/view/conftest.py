"""A mesh with two providers on plain HTTP, watched by a view, and calls through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import LLMPolicy, LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion, token_usage
from llm_mesh_middleware.view._watching.hub import Hub
from tests.canaries import canary
from tests.view.browser import Browser, browsing, shown

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


PRICES = [{"perMillion": {"input": "2", "output": "10"}}]
LIMITS = [
    {"name": "hourly", "tokens": 1000, "per": "1h", "by": ["attribute:team"]},
    {
        "name": "keyed",
        "requests": 3,
        "per": "1h",
        "by": ["header:x-api-key"],
        "trustHeaders": True,
        "shadow": True,
    },
]
SPEC: dict[str, Any] = {
    "limits": LIMITS,
    "budgets": [{"name": "money", "amount": 1, "currency": "USD", "per": "day"}],
    "guards": [{"name": "people", "pii": {"entities": ["EMAIL"]}, "action": {"mask": {}}}],
    "cache": {"vary": []},
}


@pytest.fixture
def limited(upstreams: tuple[FakeUpstream, FakeUpstream]) -> Iterator[Watched]:
    """A mesh with a policy of each kind, and a provider with prices."""
    a, b = upstreams
    a.always(Answer(body=chat_completion("hello", usage=token_usage(100, 20))))
    policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": SPEC})
    documents = (provider("a", a.url, prices=PRICES), route(VIP | {"matches": []}), policy)
    mesh = Mesh(documents, settings=MeshSettings())
    hub = Hub(mesh)
    mesh.observe(hub)
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        yield Watched(a, b, mesh, hub, client)
    mesh.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def origin(watched: Watched) -> Iterator[str]:
    with shown(watched.mesh) as port:
        yield f"http://127.0.0.1:{port}"
