"""Vectors that processes share on a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._core.caching.semantic.similarity import Near, Nearest, Remember
from llm_mesh_middleware._engine.ports.redis_store import RedisCache
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.policies.servers import Server, server_program
from tests.resilience.meshes import ask, key_of, provider, route
from tests.semantic.provider import embed, policy

pytest.importorskip("numpy", reason="the extra semantic is not installed")

EAST, NORTH = (1.0, 0.0), (0.0, 1.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if server_program() is None:
        pytest.skip("there is no redis-server or valkey-server here")
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _emptied(server: Server) -> None:
    server.client.flushall()


@pytest.fixture
def caches(server: Server) -> Iterator[list[RedisCache]]:
    caches = [RedisCache(server.url, timeout_s=10) for _ in range(2)]
    yield caches
    for cache in caches:
        cache.close()


def found(cache: RedisCache, vector: tuple[float, float] = EAST) -> list[str]:
    answer = cache.ask(Nearest("p", vector, 0.9), None)
    assert isinstance(answer, tuple)
    return [near.key for near in answer if isinstance(near, Near)]


def test_what_one_process_remembers_another_finds(server: Server, caches: list[RedisCache]) -> None:
    one, other = caches
    one.ask(Remember("p", EAST, "a", 60.0), None)
    assert found(other) == ["a"]
    other.ask(Remember("p", NORTH, "b", 60.0), None)
    one.ask(Remember("p", (1.0, 0.1), "c", 60.0), None)

    assert (found(one, NORTH), found(other)) == (["b"], ["a", "c"])
    assert 50_000 < server.client.pttl("llm-mesh:cache:near:p") <= 60_000


async def test_tasks_find_it_too(caches: list[RedisCache]) -> None:
    one, other = caches
    await one.aask(Remember("p", EAST, "a", 60.0), None)
    answers = await asyncio.gather(*(other.aask(Nearest("p", EAST, 0.9), None) for _ in range(20)))
    assert answers == [(Near("a", 1.0),)] * 20
    for cache in caches:
        await cache.aclose()


def test_a_large_partition_is_read_piece_by_piece(caches: list[RedisCache]) -> None:
    one, other = caches
    for number in range(250):
        one.ask(Remember("p", NORTH if number == 249 else EAST, str(number), 60.0), None)

    assert found(other, NORTH) == []
    assert found(other, NORTH) == ["249"]


def test_what_is_over_or_not_ours_is_not_found(server: Server, caches: list[RedisCache]) -> None:
    name, vector = "llm-mesh:cache:near:p", b"\x00\x00\x80?" + bytes(4)
    over = round(time.time() * 1000) - 1
    soon = round(time.time() * 1000) + 60_000
    for fields in (
        {"k": "over", "v": vector, "e": over},
        {"k": "odd", "v": vector[:7], "e": soon},
        {"k": "none", "e": soon},
        {"x": "y"},
        {"k": "good", "v": vector, "e": soon},
    ):
        server.client.xadd(name, fields)

    assert found(caches[0]) == ["good"]


def test_what_has_another_type_is_none(server: Server, caches: list[RedisCache]) -> None:
    server.client.set("llm-mesh:cache:near:p", "x")
    assert found(caches[0]) == []


def test_without_the_server_a_process_finds_its_own(caches: list[RedisCache]) -> None:
    away = RedisCache("redis://127.0.0.1:1", timeout_s=10)
    away.ask(Remember("p", EAST, "a", 60.0), None)
    assert found(away) == ["a"]
    away.close()


async def test_a_mesh_is_answered_by_what_another_one_was(server: Server) -> None:
    with (
        FakeUpstream(tls=False, api_key=key_of("primary")) as primary,
        FakeUpstream(tls=False, api_key=key_of("vectors")) as vectors,
    ):
        primary.always(Answer(body=chat_completion("A net.")))
        vectors.always(embed)
        documents = (
            provider("primary", primary),
            provider("vectors", vectors),
            route({"providerHost": "primary.example"}),
            policy("vectors.example"),
        )
        settings = MeshSettings(cache_store=server.url, store_timeout=10)  # type: ignore[arg-type]
        meshes = [Mesh(documents, settings=settings) for _ in range(2)]
        texts = ("What is a service mesh?", "what's a service mesh")
        replies = [
            await ask(mesh, messages=[{"role": "user", "content": text}])
            for mesh, text in zip(meshes, texts, strict=True)
        ]
        for mesh in meshes:
            await mesh.aclose()
            mesh.close()

    assert [reply.status for reply in replies] == [200, 200]
    assert len(primary.requests) == 1
