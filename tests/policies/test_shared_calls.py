"""Equal requests of several processes that share a store make one call."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._core.caching.lease import Claim, Claimed
from llm_mesh_middleware._engine.ports.redis_store import RedisCache
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.policies.caller import asked, asked_in_thread, caching
from tests.policies.cluster import Cluster
from tests.policies.servers import Server
from tests.resilience.meshes import key_of
from tests.waiting import until

KEY = "k" * 64
WHOLE = chat_completion("A net.")


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        upstream.always(Answer(body=WHOLE))
        yield upstream


def claimed(cache: RedisCache) -> Claimed:
    answer = cache.ask(Claim(KEY), None)
    assert isinstance(answer, Claimed)
    return answer


def test_one_of_several_gets_the_lease_until_it_gives_it_back(server: Server) -> None:
    one, other = (RedisCache(server.url, timeout_s=10) for _ in range(2))
    mine = claimed(one)
    assert mine.lease is not None
    assert claimed(other) == Claimed(None)

    one.lessor.release(mine.lease, is_given_up=False)
    until(lambda: claimed(other).lease is not None)
    for cache in (one, other):
        cache.close()


def test_a_lease_that_is_given_up_is_not_needed(server: Server) -> None:
    one, other = (RedisCache(server.url, timeout_s=10) for _ in range(2))
    mine = claimed(one)
    assert mine.lease is not None
    one.lessor.release(mine.lease, is_given_up=True)
    one.close()

    assert claimed(other) == Claimed(None, is_free=True)
    (lease,) = server.client.keys("*:lease")
    assert 0 < server.client.pttl(lease) <= 1000
    other.close()


def test_a_lease_is_renewed_while_it_is_held(server: Server) -> None:
    cache = RedisCache(server.url, timeout_s=10)
    mine = claimed(cache)
    assert mine.lease is not None
    (name,) = server.client.keys("*:lease")
    server.client.pexpire(name, 60_000)
    until(lambda: server.client.pttl(name) <= 5000)  # the next renewal sets the usual time
    cache.lessor.release(mine.lease, is_given_up=False)
    cache.close()
    assert server.client.keys("*:lease") == []
    assert "llm-mesh-leases" not in {thread.name for thread in threading.enumerate()}


def test_nobody_takes_back_what_is_another_ones(server: Server) -> None:
    cache = RedisCache(server.url, timeout_s=10)
    mine = claimed(cache)
    assert mine.lease is not None
    (name,) = server.client.keys("*:lease")
    server.client.set(name, b"another holder!!", px=60_000)
    cache.lessor.release(mine.lease, is_given_up=True)
    cache.close()

    assert server.client.get(name) == b"another holder!!"


async def together(meshes: list[Mesh], gate: Gate, count: int) -> list[asyncio.Task[str]]:
    """Requests to several meshes; the first one's is at the provider."""
    tasks = [asyncio.create_task(asked(meshes[0]))]
    await asyncio.to_thread(gate.wait_reached, 30)
    more = [asyncio.create_task(asked(mesh)) for mesh in meshes[1:] for _ in range(count)]
    return [*tasks, *more]


async def test_another_mesh_waits_for_the_call_and_shares_its_response(
    server: Server, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.always(Answer(body=WHOLE, delay=gate))
    meshes = [caching(upstream.url, server.url) for _ in range(3)]
    tasks = await together(meshes, gate, 5)
    gate.open()
    told = Counter(await asyncio.gather(*tasks))
    for mesh in meshes:
        await mesh.aclose()
        mesh.close()

    assert told == {"miss": 1, "hit": 10}
    assert len(upstream.requests) == 1


def test_threads_wait_for_another_mesh_too(server: Server, upstream: FakeUpstream) -> None:
    gate = Gate()
    upstream.always(Answer(body=WHOLE, delay=gate))
    meshes = [caching(upstream.url, server.url) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(asked_in_thread, meshes[0])
        assert gate.wait_reached(30)
        others = [pool.submit(asked_in_thread, meshes[1]) for _ in range(3)]
        gate.open()
        told = [each.result(60) for each in (first, *others)]
    for mesh in meshes:
        mesh.close()

    assert told == ["miss", "hit", "hit", "hit"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("ending", ["leaves", "fails"])
async def test_if_the_call_comes_to_nothing_one_other_mesh_calls(
    server: Server, upstream: FakeUpstream, ending: str
) -> None:
    gate = Gate()
    upstream.script(Answer(500, body=error_body("broken"), delay=gate))
    meshes = [caching(upstream.url, server.url) for _ in range(3)]
    first, *others = await together(meshes, gate, 5)
    if ending == "leaves":
        first.cancel()
    gate.open()
    told = Counter(await asyncio.gather(*others))
    await asyncio.wait([first])
    for mesh in meshes:
        await mesh.aclose()
        mesh.close()

    assert told == {"miss": 1, "hit": 9}
    assert len(upstream.requests) == 2


async def test_a_response_that_is_not_kept_makes_nobody_wait_in_turn(
    server: Server, upstream: FakeUpstream
) -> None:
    gate = Gate()
    cut = chat_completion("cut", finish_reason="length")
    upstream.always(Answer(body=cut, delay=gate))
    meshes = [caching(upstream.url, server.url) for _ in range(2)]
    tasks = await together(meshes, gate, 1)
    gate.open()

    assert await asyncio.gather(*tasks) == ["miss", "miss"]
    for mesh in meshes:
        await mesh.aclose()
        mesh.close()


def start(upstream: FakeUpstream, store: str, callers: int) -> list[subprocess.Popen[str]]:
    """Start four processes side by side."""
    program = [sys.executable, "-m", "tests.policies.caller", upstream.url, store, str(callers)]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    return workers


def begin(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def told_by(workers: list[subprocess.Popen[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for worker in workers:
        total.update(json.loads(worker.communicate(timeout=120)[0]))
    return total


@pytest.fixture
def stop() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.slow
def test_two_hundred_requests_of_four_processes_make_one_call(
    server: Server, upstream: FakeUpstream, stop: ExitStack
) -> None:
    gate = Gate()
    head, *rest = chat_stream(["A ", "net."], include_usage=True)

    def answer(request: RecordedRequest) -> Answer | Stream:
        if request.json().get("stream"):
            return Stream([head, gate, *rest])
        return Answer(body=WHOLE, delay=gate)

    upstream.always(answer)
    workers = start(upstream, server.url, 50)
    for worker in workers:
        stop.callback(worker.kill)
        begin(worker)
    assert gate.wait_reached(60)
    gate.open()

    assert told_by(workers) == {"miss": 1, "hit": 199}
    assert len(upstream.requests) == 1


@pytest.mark.slow
def test_a_process_that_is_killed_in_its_call_is_replaced_by_one_other(
    server: Server, upstream: FakeUpstream, stop: ExitStack
) -> None:
    gate = Gate()
    upstream.script(Answer(body=WHOLE, delay=gate))
    workers = start(upstream, server.url, 50)
    for worker in workers:
        stop.callback(worker.kill)
    begin(workers[0])
    assert gate.wait_reached(60)
    for worker in workers[1:]:
        begin(worker)
    workers[0].kill()
    workers[0].communicate()

    assert told_by(workers[1:]) == {"miss": 1, "hit": 149}
    assert len(upstream.requests) == 2
    gate.open()


@pytest.mark.slow
async def test_meshes_share_responses_and_calls_in_a_cluster(
    program: str, tmp_path: Path, upstream: FakeUpstream
) -> None:
    texts = [f"What is mesh {number}?" for number in range(24)]
    with Cluster(tmp_path) as cluster:
        meshes = [caching(upstream.url, cluster.url) for _ in range(3)]
        told = await asyncio.gather(*(asked(mesh, text=text) for text in texts for mesh in meshes))
        again = await asyncio.gather(*(asked(meshes[0], text=text) for text in texts))
        nodes = {cluster.node_of(key.decode()).port for key in cluster.keys("llm-mesh:cache:*")}
        for mesh in meshes:
            await mesh.aclose()
            mesh.close()

    assert Counter(told) == {"miss": 24, "hit": 48}
    assert again == ["hit"] * 24
    assert len(upstream.requests) == 24
    assert len(nodes) == 3
