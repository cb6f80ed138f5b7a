"""Two hundred equal requests at once make one call, whatever becomes of the first of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.resilience.meshes import HOST, PRIMARY, Ledger, key_of, provider, route

COUNT = 200
WHOLE = Answer(body=chat_completion("A net."))
CACHE = {"metadata": {"name": "team"}, "spec": {"cache": {"vary": []}}}


@asynccontextmanager
async def caching(upstream: FakeUpstream, ledger: Ledger) -> AsyncIterator[Mesh]:
    documents = (
        provider("primary", upstream),
        route(PRIMARY, retry={"attempts": 1}),
        LLMPolicy.model_validate(CACHE),
    )
    mesh = Mesh(documents, observer=ledger)
    try:
        yield mesh
    finally:
        await mesh.aclose()


async def asked(mesh: Mesh, *, is_stream: bool = False) -> tuple[int, str]:
    """The status of the reply, and what the cache did."""
    host = mesh.find(HOST.encode())
    assert host is not None
    body = {"messages": [{"role": "user", "content": "What is a mesh?"}], "stream": is_stream}
    request = ClientRequest("POST", "/v1/chat/completions", Headers(()), json.dumps(body).encode())
    delivery = await mesh.asend(host, request)
    try:
        assert b"".join([piece async for piece in delivery])
        return delivery.reply.status, dict(delivery.reply.headers)[b"x-llm-mesh-cache"].decode()
    finally:
        await delivery.aclose()


async def begun(mesh: Mesh, ledger: Ledger, gate: Gate) -> list[asyncio.Task[tuple[int, str]]]:
    """All requests; the first is at the provider, and the others wait for it."""
    tasks = [asyncio.create_task(asked(mesh))]
    await asyncio.to_thread(gate.wait_reached, 10)
    tasks += [asyncio.create_task(asked(mesh, is_stream=n % 2 == 0)) for n in range(1, COUNT)]
    await asyncio.to_thread(ledger.wait_decided, "waits", COUNT - 1)
    return tasks


@pytest.fixture
def upstream() -> FakeUpstream:
    return FakeUpstream(tls=False, api_key=key_of("primary"))


@pytest.mark.parametrize("leaves", [False, True])
async def test_the_first_may_leave(upstream: FakeUpstream, leaves: bool) -> None:
    ledger, gate = Ledger(), Gate()
    with upstream:
        upstream.always(Answer(body=WHOLE.body, delay=gate))
        async with caching(upstream, ledger) as mesh:
            first, *others = await begun(mesh, ledger, gate)
            if leaves:
                first.cancel()
                await asyncio.wait((first,))
            gate.open()
            assert set(await asyncio.gather(*others)) == {(200, "hit")}
            assert first.cancelled() is leaves
        assert len(upstream.requests) == 1


async def test_the_first_may_fail(upstream: FakeUpstream) -> None:
    ledger, gate = Ledger(), Gate()
    with upstream:
        upstream.script(Answer(500, body=error_body("broken"), delay=gate))
        upstream.always(WHOLE)
        async with caching(upstream, ledger) as mesh:
            first, *others = await begun(mesh, ledger, gate)
            gate.open()
            assert (await first)[0] == 500
            results = sorted(await asyncio.gather(*others))
            assert results == [(200, "hit")] * (COUNT - 2) + [(200, "miss")]
        assert len(upstream.requests) == 2  # the one that failed, and one for all the others


async def test_the_first_may_be_a_stream(upstream: FakeUpstream) -> None:
    ledger, gate = Ledger(), Gate()
    head, *rest = chat_stream(["A ", "net."], include_usage=True)
    with upstream:
        upstream.always(Stream([head, gate, *rest]))
        async with caching(upstream, ledger) as mesh:
            tasks = [asyncio.create_task(asked(mesh, is_stream=True))]
            await asyncio.to_thread(gate.wait_reached, 10)
            tasks += [asyncio.create_task(asked(mesh)) for _ in range(COUNT - 1)]
            await asyncio.to_thread(ledger.wait_decided, "waits", COUNT - 1)
            gate.open()
            results = sorted(await asyncio.gather(*tasks))
        assert results == [(200, "hit")] * (COUNT - 1) + [(200, "miss")]
        assert len(upstream.requests) == 1
