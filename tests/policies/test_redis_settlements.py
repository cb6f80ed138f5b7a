"""Settlements that an event loop sends with its reservations: each is applied once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.stores import BucketChange, BucketClaim, Reserve, Settle, SlotRelease
from tests.policies.servers import Server

HOUR = 3_600_000_000
BUCKET = "{b}:t"
NOTHING = Reserve((BucketClaim(BUCKET, 0, HOUR),))
MANY = 10
# Each takes a twentieth: half of the bucket if all are applied once.
USED = Settle((BucketChange(BUCKET, HOUR // 20),))


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    store = RedisStore(server.url, timeout_s=5)
    yield store
    store.close()


def left(store: RedisStore) -> float:
    return store.ask(NOTHING, None).outcomes[0].left / HOUR


async def settle_many(store: RedisStore) -> None:
    for _ in range(MANY):
        store.settle(USED)
    await store.aask(NOTHING, None)


def evaluations(server: Server) -> int:
    return int(server.client.info("commandstats")["cmdstat_evalsha"]["calls"])


async def test_many_go_together_in_one_script(server: Server, store: RedisStore) -> None:
    await store.aask(NOTHING, None)
    await settle_many(store)  # whose script the server does not know yet
    await asyncio.to_thread(store.flush, 10)
    before = evaluations(server)
    for _ in range(3):
        await settle_many(store)
        await asyncio.to_thread(store.flush, 10)
    # One to reserve, one to settle; a third where the thread has just taken the first of them.
    assert 6 <= evaluations(server) - before <= 9
    await store.aclose()
    assert abs(left(store) + 1) < 0.01  # forty changes are two buckets, of which there was one


async def test_slots_are_given_back_with_them(server: Server, store: RedisStore) -> None:
    server.client.zadd("llm-mesh:{b}:c", {"one": 2**50})
    await store.aask(NOTHING, None)
    store.settle(Settle((SlotRelease("{b}:c", "one"),)))
    await settle_many(store)
    await asyncio.to_thread(store.flush, 10)
    assert server.client.zcard("llm-mesh:{b}:c") == 0
    assert abs(left(store) - 0.5) < 0.01
    await store.aclose()


async def test_a_server_that_lost_the_script_applies_them_once(
    server: Server, store: RedisStore
) -> None:
    await store.aask(NOTHING, None)
    server.client.script_flush()
    await settle_many(store)
    await asyncio.to_thread(store.flush, 10)
    assert abs(left(store) - 0.5) < 0.01
    await store.aclose()


async def test_a_lost_connection_does_not_lose_them(server: Server, store: RedisStore) -> None:
    await store.aask(NOTHING, None)
    for _ in range(MANY):
        store.settle(USED)
    asking = asyncio.create_task(store.aask(NOTHING, None))
    await asyncio.sleep(0)  # both are written
    server.client.client_kill_filter(_type="normal", skipme=True)
    await asyncio.wait((asking,))
    await asyncio.to_thread(store.flush, 10)
    assert abs(left(store) - 0.5) < 0.01
    await store.aclose()


def test_a_loop_that_ends_before_the_answers_leaves_them_to_the_thread(
    own_server: Server,
) -> None:
    store = RedisStore(own_server.url, timeout_s=2)  # the end of the loop waits for as long

    async def leave() -> None:
        await store.aask(NOTHING, None)
        own_server.hang()
        for _ in range(MANY):
            store.settle(USED)
        asking = asyncio.create_task(store.aask(NOTHING, None))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(leave())
    own_server.go_on()
    store.flush(10)
    assert abs(left(store) - 0.5) < 0.01
    store.close()
