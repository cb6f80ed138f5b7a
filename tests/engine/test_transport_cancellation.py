"""However a call on a given httpx transport is cancelled, its pool has idle connections only."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from llm_mesh_middleware._core.values.endpoint import TLSFiles
from llm_mesh_middleware._engine.http.async_transport_client import AsyncTransportClient
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.testing import (
    Answer,
    CertificateAuthority,
    Cut,
    FakeUpstream,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.conftest import slow
from tests.engine.calls import HOST, call, request_to, send

EVENTS = chat_stream(["Good ", "morning"])
MENU: tuple[Scripted, ...] = (
    *(Answer(body=chat_completion()), Answer(body=chat_completion(), delay=0.004)) * 3,
    Stream([*EVENTS[:2], 0.002, *EVENTS[2:]]),
    Cut(how="stall"),
    Cut(how="fin"),
    Cut(how="reset"),
    Cut(Answer(body=chat_completion()), at=0.7, how="stall"),
    Cut(Stream(EVENTS), at=0.5, how="reset"),
)
NOT_IDLE = re.compile(r"[1-9]\d* (active|queued)")


def in_use(transport: httpx.AsyncHTTPTransport) -> list[str]:
    """Return what the pool of `transport` says of itself, if not all connections are idle."""
    return [pool for pool in [repr(transport._pool)] if NOT_IDLE.search(pool)]


def transport_of(contexts: TLSContexts) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncHTTPTransport(verify=contexts.get(TLSFiles()), limits=limits)


@pytest.fixture(params=["plain", "tls"])
def scripted(request: pytest.FixtureRequest, ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=request.param == "tls", ca=ca) as upstream:
        yield upstream


@pytest.mark.parametrize("seed", [0, *slow(*range(1, 8))])
async def test_random_cancellations_leave_no_connection_behind(
    scripted: FakeUpstream, contexts: TLSContexts, seed: int
) -> None:
    draw = random.Random(seed)
    scripted.script(*[draw.choice(MENU) for _ in range(400)])
    transport = transport_of(contexts)
    client = AsyncTransportClient(transport)

    async def leave_at_some_point() -> None:
        task = asyncio.create_task(send(client, request_to(scripted)))
        await asyncio.sleep(draw.random() * 0.02)
        task.cancel()
        if draw.random() < 0.5:  # a time limit and a client that goes, in one moment
            for _ in range(draw.randrange(5)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait((task,))

    for _ in range(10):
        await asyncio.gather(*(leave_at_some_point() for _ in range(15)))
    assert in_use(transport) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await transport.aclose()
    assert await asyncio.to_thread(scripted.wait_closed)


@pytest.mark.parametrize("ticks", range(40))
async def test_a_call_can_be_cancelled_at_every_step_of_the_loop(
    plain_upstream: FakeUpstream, ticks: int
) -> None:
    transport = transport_of(TLSContexts())
    client = AsyncTransportClient(transport)
    for _ in range(2):  # on a new connection, and on one that may have been kept
        task = asyncio.create_task(send(client, request_to(plain_upstream)))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert in_use(transport) == []
        await call(client, request_to(plain_upstream))
    await transport.aclose()
    assert await asyncio.to_thread(plain_upstream.wait_closed)


async def test_who_leaves_while_nobody_accepts_the_connection_waits_for_nothing(
    contexts: TLSContexts,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [_filler(port) for _ in range(3)]
        transport = transport_of(contexts)
        client = AsyncTransportClient(transport)
        task = asyncio.create_task(send(client, request_to(f"http://127.0.0.1:{port}")))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert time.monotonic() - began < 3  # and not the five seconds of a connection
        assert in_use(transport) == []
        await transport.aclose()
        for filler in fillers:
            filler.close()


def _filler(port: int) -> socket.socket:
    """A connection that takes a place in the queue of the listener."""
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(("127.0.0.1", port))
    return filler
