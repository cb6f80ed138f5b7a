"""Many requests at once: the split holds, and nobody gets another's answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.testing import Answer, Gate
from tests.adapters.meshes import own_app
from tests.adapters.wire import request_bytes
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    DEMO,
    MOONSHOT,
    MOONSHOT_KEY,
    Providers,
    Serve,
    slow,
)

MeshOn = Callable[..., int]


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, text: str
) -> tuple[int, dict[str, str], Any]:
    """One chat on a connection that stays open."""
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    writer.write(request_bytes(host, body))
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    answer = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split(" ")[1]), headers, json.loads(answer)


async def ask_all(port: int, host: str, texts: list[str], connections: int) -> list[Any]:
    """Every text in one request, over so many connections side by side."""
    todo, answers = iter(enumerate(texts)), dict[int, Any]()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, text in todo:
            answers[number] = await ask(reader, writer, host, text)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    return [answers[number] for number in range(len(texts))]


@pytest.mark.slow
async def test_a_thousand_requests_are_split_in_half(serve: Serve, providers: Providers) -> None:
    # Chance alone would miss three points once in twenty runs.
    mesh = Mesh(settings=providers.settings(), rng=random.Random(2024).random)
    texts = [f"text {number}" for number in range(1000)]
    answers = await ask_all(serve(LLMMeshMiddleware(own_app, mesh=mesh)), DEMO, texts, 32)

    assert {status for status, _, _ in answers} == {200}
    said = [answer["choices"][0]["message"]["content"] for _, _, answer in answers]
    assert said == [f"You said: {text}" for text in texts]

    shares = Counter(headers["x-llm-mesh-provider"] for _, headers, _ in answers)
    assert shares.total() == 1000
    assert abs(shares["moonshot"] - 500) <= 30
    assert shares == {
        "dashscope-qwen": len(providers.dashscope.requests),
        "moonshot": len(providers.moonshot.requests),
    }


async def test_each_half_has_its_own_key_path_model_and_form(
    mesh_on: MeshOn, providers: Providers
) -> None:
    await ask_all(mesh_on("uvicorn-httptools"), DEMO, ["x"] * 64, 8)

    sent = {
        (
            request.server_name,
            request.header("host"),
            request.target,
            request.header("authorization"),
            request.json()["model"],
            request.json().get("stream"),
        )
        for upstream in (providers.dashscope, providers.moonshot)
        for request in upstream.requests
    }
    assert sent == {
        (
            DASHSCOPE,
            DASHSCOPE,
            "/compatible-mode/v1/chat/completions",
            f"Bearer {DASHSCOPE_KEY}",
            "qwen1.5-72b-chat",
            None,
        ),
        (
            MOONSHOT,
            MOONSHOT,
            "/v1/chat/completions",
            f"Bearer {MOONSHOT_KEY}",
            "moonshot-v1-8k",
            False,
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "count"),
    [
        ("serve", 200),
        ("uvicorn-httptools", 200),
        *slow(("uvicorn-uvloop", 200), ("uvicorn-h11", 50), ("hypercorn", 50)),
    ],
)
async def test_so_many_requests_are_in_flight_at_once(
    mesh_on: MeshOn, providers: Providers, server: str, count: int
) -> None:
    gate = Gate()

    def answer(request: Any) -> Answer:
        text = request.json()["messages"][0]["content"]
        return Answer(body={"echo": text}, delay=gate)

    providers.dashscope.always(answer)
    texts = [f"text {number}" for number in range(count)]
    port = mesh_on(server, connect_timeout=30)  # so many handshakes on a busy machine
    asking = asyncio.create_task(ask_all(port, DASHSCOPE, texts, count))
    try:
        await asyncio.to_thread(providers.dashscope.wait_for_requests, count, 30)
    finally:
        gate.open()
    answers = await asking

    assert [answer["echo"] for _, _, answer in answers] == texts
    assert {status for status, _, _ in answers} == {200}


@pytest.mark.parametrize("host", [DASHSCOPE, DEMO])
async def test_a_connection_to_a_provider_is_used_again(
    mesh_on: MeshOn, providers: Providers, host: str
) -> None:
    before = providers.dashscope.accepted_connections + providers.moonshot.accepted_connections
    await ask_all(mesh_on("uvicorn-httptools"), host, ["x"] * 20, 1)
    after = providers.dashscope.accepted_connections + providers.moonshot.accepted_connections

    assert after - before <= 2
    assert len(providers.requests) == 20
