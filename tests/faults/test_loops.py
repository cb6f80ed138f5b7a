"""Meshes whose providers are meshes: a chain is served, a loop ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider
from llm_mesh_middleware.testing import FakeUpstream
from tests.canaries import canary

HOST = "loop.example"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Late:
    """A server's application that is known once there is a port; it counts its requests."""

    app: LLMMeshMiddleware
    calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.calls += 1
            await self.app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.app.mesh.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def to(url: str) -> LLMMeshMiddleware:
    """A mesh whose only provider is at `url`."""
    document = {
        "apiVersion": "istio.alibabacloud.com/v1",
        "kind": "LLMProvider",
        "metadata": {"name": "loop"},
        "spec": {
            "host": HOST,
            "endpoint": url,
            "configs": {"defaultConfig": {"openAIConfig": {"apiKey": canary("loop")}}},
        },
    }
    return LLMMeshMiddleware(None, config=[LLMProvider.model_validate(document)])  # type: ignore[arg-type]


def ask(port: int) -> httpx.Response:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    with httpx.Client(timeout=30) as client:
        return client.post(url, json=BODY, headers={"host": HOST})


@pytest.fixture
def ring(serve: Callable[..., int]) -> Callable[[int], tuple[list[Late], int]]:
    """`ring(3)`: so many meshes, each the provider of the one before it; and the first's port."""

    def ring(size: int) -> tuple[list[Late], int]:
        apps = [Late() for _ in range(size)]
        ports = [serve(app, "uvicorn-httptools") for app in apps]
        for app, port in zip(apps, [*ports[1:], ports[0]], strict=True):
            app.app = to(f"http://127.0.0.1:{port}")
        return apps, ports[0]

    return ring


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_loop_ends_where_it_began(
    ring: Callable[[int], tuple[list[Late], int]], size: int
) -> None:
    apps, port = ring(size)
    response = ask(port)
    assert response.status_code == 508
    assert json.loads(response.content)["error"]["code"] == "loop_detected"
    assert sum(app.calls for app in apps) == size + 1


@pytest.mark.slow
def test_a_loop_over_many_meshes_ends_too(
    ring: Callable[[int], tuple[list[Late], int]],
) -> None:
    apps, port = ring(12)
    assert ask(port).status_code == 508
    assert sum(app.calls for app in apps) == 9


def test_a_chain_of_meshes_is_served(serve: Callable[..., int]) -> None:
    with FakeUpstream(tls=False) as upstream:
        url = upstream.url
        for _ in range(3):
            app = Late()
            app.app = to(url)
            url = f"http://127.0.0.1:{serve(app, 'uvicorn-httptools')}"
        response = httpx.post(f"{url}/v1/chat/completions", json=BODY, headers={"host": HOST})
    assert response.status_code == 200
    [seen] = upstream.requests
    hops = (seen.header("x-llm-mesh-hops") or "").split(", ")
    assert len(set(hops)) == 3
