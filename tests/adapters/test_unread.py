"""A client that reads nothing: it must not hold a provider's connection for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.exceptions import ClientDisconnected
from llm_mesh_middleware.testing import Stream, chat_stream
from tests.conftest import DASHSCOPE, Providers
from tests.engine.meshes import Recorders
from tests.scopes import scope_of

EVENTS = chat_stream(["Good ", "morning"])


async def ask(mesh: Mesh, *, reads: int, stream: bool) -> None:
    """Ask for a chat, and take only so many messages of the reply."""
    app = LLMMeshMiddleware(lambda *_: asyncio.sleep(0), mesh=mesh)
    body = json.dumps({"messages": [], "stream": stream}).encode()
    messages = [{"type": "http.request", "body": body}]
    sent = 0

    async def receive() -> MutableMapping[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("never")

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if sent > reads:  # as a server does whose buffer is full
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        await app(scope_of(DASHSCOPE), receive, send)


@pytest.mark.parametrize("reads", [0, 1])
async def test_a_whole_reply_is_given_up_too(providers: Providers, reads: int) -> None:
    mesh = Mesh(settings=providers.settings(idle_timeout=0.05))
    await ask(mesh, reads=reads, stream=False)
    assert mesh.health()[DASHSCOPE].in_flight == 0
    await mesh.aclose()


@pytest.mark.parametrize("engine", ["aiohttp", "httpx"])
@pytest.mark.parametrize("reads", [0, 1, 2])
async def test_the_stream_ends_as_the_clients_doing(
    providers: Providers, engine: str, reads: int
) -> None:

    # It never ends, so that whatever ends it is not the provider.
    providers.dashscope.always(Stream([EVENTS[0], 0.01] * 200))
    seen = Recorders()
    settings = providers.settings(upstream_client=engine, idle_timeout=0.3)
    mesh = Mesh(settings=settings, observer=seen)
    await ask(mesh, reads=reads, stream=True)
    assert seen.endings == [(200, ClientDisconnected)]
    assert {status.state for status in mesh.health().values()} == {"healthy"}
    assert mesh.health()[DASHSCOPE].in_flight == 0
    await mesh.aclose()
    assert await asyncio.to_thread(providers.dashscope.requests[-1].wait_disconnected, 5.0)
