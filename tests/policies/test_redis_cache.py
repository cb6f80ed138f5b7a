"""Cached responses in Redis: shared, ended by the server, and no obstacle when it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware._core.caching.entry import Found, Lookup, Save, unpack
from llm_mesh_middleware._engine.ports.redis_store import RedisCache
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.canaries import canary
from tests.policies.servers import Server
from tests.resilience.meshes import ask, provider, route
from tests.semantic.provider import embed
from tests.semantic.provider import policy as alike_policy

KEY, OTHER = "k" * 64, "o" * 64
MESSAGE = {"role": "user", "content": "What is a mesh?"}
CACHE = {"metadata": {"name": "team"}, "spec": {"cache": {"vary": []}}}


@pytest.fixture
def cache(server: Server) -> Iterator[RedisCache]:
    cache = RedisCache(server.url, timeout_s=2)
    yield cache
    cache.close()


@pytest.fixture
def own_server(program: str) -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def data(found: Found | None) -> bytes | None:
    return None if found is None else found.data


def test_what_one_process_saves_another_finds(server: Server, cache: RedisCache) -> None:
    cache.ask(Save(KEY, b"data", 60.0), None)
    other = RedisCache(server.url, timeout_s=2)

    found = other.ask(Lookup(KEY), None)

    assert found is not None
    assert (found.data, 0 <= found.age_s < 10) == (b"data", True)
    assert 50_000 < server.client.pttl(f"llm-mesh:cache:{KEY}") <= 60_000
    assert other.ask(Lookup(OTHER), None) is None
    other.close()


def test_an_entry_is_as_old_as_its_time_has_run(server: Server, cache: RedisCache) -> None:
    cache.ask(Save(KEY, b"data", 60.0), None)
    server.client.pexpire(f"llm-mesh:cache:{KEY}", 20_000)

    found = cache.ask(Lookup(KEY), None)

    assert found is not None
    assert 40 <= found.age_s < 50


@pytest.mark.parametrize("value", [b"", b"x", KEY.encode(), OTHER.encode() + bytes(8) + b"data"])
def test_what_is_not_the_entry_of_the_key_is_none(
    server: Server, cache: RedisCache, value: bytes
) -> None:
    server.client.set(f"llm-mesh:cache:{KEY}", value, px=60_000)
    assert cache.ask(Lookup(KEY), None) is None


def test_what_has_another_type_is_none(server: Server, cache: RedisCache) -> None:
    server.client.lpush(f"llm-mesh:cache:{KEY}", "x")
    assert cache.ask(Lookup(KEY), None) is None


async def test_tasks_find_it_too(server: Server, cache: RedisCache) -> None:
    await cache.aask(Save(KEY, b"data", 60.0), None)
    found = await asyncio.gather(*(cache.aask(Lookup(KEY), None) for _ in range(50)))
    assert [data(each) for each in found] == [b"data"] * 50
    assert data(cache.ask(Lookup(KEY), None)) == b"data"
    await cache.aclose()


async def test_a_lookup_that_is_given_up_brings_nobody_another_entry(server: Server) -> None:
    cache = RedisCache(server.url, timeout_s=2)
    for number in range(10):
        await cache.aask(Save(f"{number}" * 64, b"%d" % number, 60.0), None)
    for turn in range(40):
        given_up = asyncio.create_task(cache.aask(Lookup("1" * 64), None))
        for _ in range(turn % 8):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait((given_up,))
        assert data(await cache.aask(Lookup("2" * 64), None)) in (b"2", None)
    await cache.aclose()


@pytest.mark.parametrize("fault", [Server.stop, Server.hang])
async def test_a_server_that_is_away_is_waited_for_once_and_not_long(
    own_server: Server, fault: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    cache = RedisCache(own_server.url)
    cache.ask(Save(KEY, b"data", 60.0), None)
    await cache.aask(Lookup(KEY), None)
    fault(own_server)
    began = time.perf_counter()
    assert cache.ask(Lookup(KEY), None) is None
    for _ in range(100):
        assert cache.ask(Lookup(KEY), None) is None
        assert await cache.aask(Lookup(KEY), None) is None
    assert time.perf_counter() - began < 5  # 10 s if each of them waited
    assert caplog.text.count("the store of cached responses cannot be used") == 1
    if fault is Server.hang:
        own_server.go_on()
    await cache.aclose()
    cache.close()


async def test_two_meshes_share_what_one_was_answered(server: Server) -> None:
    with FakeUpstream(tls=False, api_key=canary("primary")) as upstream:
        upstream.always(Answer(body=chat_completion("A net. " * 500)))
        documents = (
            provider("primary", upstream),
            route({"providerHost": "primary.example"}),
            LLMPolicy.model_validate(CACHE),
        )
        settings = MeshSettings(cache_store=server.url, store_timeout=2)
        meshes = [Mesh(documents, settings=settings) for _ in range(2)]
        replies = [await ask(mesh, messages=[MESSAGE]) for mesh in meshes]
        for mesh in meshes:
            await mesh.aclose()
            mesh.close()

        assert [reply.status for reply in replies] == [200, 200]
        assert replies[0].body == replies[1].body
        assert len(upstream.requests) == 1
    (key,) = server.client.keys()
    assert len(server.client.get(key)) < 1000  # compressed


def held(server: Server) -> list[bytes]:
    """All keys of a server and what is behind them, entries without their compression."""
    client, found = server.client, list[bytes]()
    read = {
        b"string": lambda key: [client.get(key)],
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: [
            part for _, fields in client.xrange(key) for pair in fields.items() for part in pair
        ],
        b"none": lambda key: [],  # it has ended meanwhile
    }
    for key in client.scan_iter():
        values = [value for value in read[client.type(key)](key) if value is not None]
        entries = [unpack(value[value.find(b"\x06") :]) for value in values if b"\x06" in value]
        found += [key, *values, *(entry.body for entry in entries if entry is not None)]
    return found


@pytest.mark.parametrize("action", [{"mask": {}}, {"mask": {"unmask": True}}])
async def test_a_masked_value_is_in_no_key_and_no_value_of_the_server(
    server: Server, action: dict[str, object]
) -> None:
    pytest.importorskip("numpy", reason="the extra semantic is not installed")
    pii = {"name": "pii", "on": ["request", "response"], "pii": {}, "action": action}
    limit = {"name": "each", "by": ["attribute:mail"], "tokens": 10**9, "concurrency": 9}
    alike = alike_policy("vectors.example")
    spec = alike.spec.model_dump(by_alias=True, exclude_unset=True)
    given = {**spec, "guards": [pii], "limits": [limit]}
    with (
        FakeUpstream(tls=False, api_key=canary("primary")) as upstream,
        FakeUpstream(tls=False, api_key=canary("vectors")) as vectors,
    ):
        upstream.always(
            lambda request: Answer(
                body=chat_completion(request.json()["messages"][0]["content"] + " So be it." * 300)
            )
        )
        vectors.always(embed)
        documents = (
            provider("primary", upstream),
            provider("vectors", vectors),
            route({"providerHost": "primary.example"}),
            LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": given}),
        )
        settings = MeshSettings(store=server.url, store_timeout=2)
        mesh = Mesh(documents, settings=settings)
        replies = []
        for mail in ("anna.zqmark@example.com", "bob.zqmark@example.com"):
            said = {"role": "user", "content": f"Please write to {mail} today"}
            with mesh.attributes(mail=mail):
                replies.append(await ask(mesh, messages=[said]))
        found = held(server)
        await mesh.aclose()
        mesh.close()

    assert [reply.status for reply in replies] == [200, 200]
    assert replies[1].headers["x-llm-mesh-cache"].startswith("hit")
    assert not [each for each in found + held(server) if b"zqmark" in each]
    assert any(b"[EMAIL" in each for each in found)
    for request in (*upstream.requests, *vectors.requests):
        assert b"zqmark" not in request.body
