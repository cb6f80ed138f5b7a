"""A client that is gone the moment its answer is complete, as uvicorn tells of every client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware
from tests.conftest import DASHSCOPE, Providers
from tests.scopes import scope_of


@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
@pytest.mark.parametrize("stream", [False, True])
async def test_its_upstream_connection_is_used_again(
    providers: Providers, engine: str, stream: bool
) -> None:
    app = LLMMeshMiddleware(
        lambda *_: asyncio.sleep(0), settings=providers.settings(upstream_client=engine)
    )
    body = json.dumps({"messages": [], "stream": stream}).encode()

    async def ask() -> None:
        over = asyncio.Event()
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                over.set()

        await app(scope_of(DASHSCOPE), receive, send)
        assert over.is_set()

    for _ in range(5):
        await ask()
    await app.mesh.aclose()

    assert {request.connection for request in providers.dashscope.requests} == {1}
    assert providers.dashscope.wait_closed()
