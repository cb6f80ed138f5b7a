"""Limits and budgets in a real cluster of three nodes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.exceptions import PolicyUnavailable
from llm_mesh_middleware.stores import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
)
from tests.policies.cluster import Cluster

pytestmark = pytest.mark.slow

HOUR = 3_600_000_000
BUCKETS = tuple(f"{{default/team/{name}}}:t" for name in "abcdef")
SLOTS, MONEY = "{default/team/slots}:c", "{default/team/money}:m:2026"


@pytest.fixture(scope="module")
def shared_cluster(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    for node in shared_cluster.nodes:
        node.client.flushall()
        node.client.script_flush()
    return shared_cluster


@pytest.fixture
def store(cluster: Cluster) -> Iterator[RedisStore]:
    store = RedisStore(cluster.url, timeout_s=5)
    yield store
    store.close()


def every(units: int) -> Reserve:
    """So many tenths of each bucket, a slot and money, all or nothing."""
    claims = [BucketClaim(key, units * HOUR // 10, HOUR) for key in BUCKETS]
    return Reserve((*claims, SlotClaim(SLOTS, 99, HOUR), BudgetClaim(MONEY, 10, 100, HOUR, HOUR)))


def undone(reserved: Reserved, units: int) -> Settle:
    buckets = [BucketChange(key, -units * HOUR // 10) for key in BUCKETS]
    money = BudgetChange(MONEY, reserved.slot, 10, 0, HOUR)
    return Settle((*buckets, SlotRelease(SLOTS, reserved.slot), money))


def test_what_a_request_takes_lies_on_all_nodes_and_comes_back(
    cluster: Cluster, store: RedisStore
) -> None:
    reserved = store.ask(every(3), None)
    assert reserved.is_granted
    assert [outcome.wait_us for outcome in reserved.outcomes] == [0] * 8
    assert all(node.client.dbsize() for node in cluster.nodes)
    store.settle(undone(reserved, 3))
    store.flush(5)
    assert cluster.keys("*:t") == cluster.keys("*:c") == []
    assert cluster.node_of("llm-mesh:" + MONEY).client.hget("llm-mesh:" + MONEY, "h") == b"0"


def test_a_refusal_by_one_bucket_gives_the_others_back(cluster: Cluster, store: RedisStore) -> None:
    last = Reserve((BucketClaim(BUCKETS[-1], HOUR, HOUR),))
    assert store.ask(last, None).is_granted
    assert not store.ask(every(3), None).is_granted
    store.flush(5)
    assert [key.endswith(BUCKETS[-1].encode()) for key in cluster.keys("*:t")] == [True]
    assert cluster.keys("*:c") == []


async def test_an_event_loop_reserves_too_and_gives_back_what_it_is_cancelled_for(
    cluster: Cluster, store: RedisStore
) -> None:
    assert (await store.aask(every(3), None)).is_granted
    for turn in range(10):
        task = asyncio.create_task(store.aask(every(0), None))
        await asyncio.sleep(0.001 * (turn % 4))
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            store.settle(undone(task.result(), 0))
    await store.aclose()

    def slots() -> int:
        return cluster.node_of("llm-mesh:" + SLOTS).client.zcard("llm-mesh:" + SLOTS)  # type: ignore[no-any-return]

    deadline = time.monotonic() + 5
    while slots() != 1 and time.monotonic() < deadline:
        store.flush()
    assert slots() == 1


def test_many_at_once_are_admitted_to_the_last_unit(cluster: Cluster, store: RedisStore) -> None:
    one = Reserve((BucketClaim(BUCKETS[0], HOUR // 10, HOUR), SlotClaim(SLOTS, 999, HOUR)))
    with ThreadPoolExecutor(16) as pool:
        granted = list(pool.map(lambda _: store.ask(one, None).is_granted, range(60)))
    assert sum(granted) == 10
    store.flush(5)
    node = cluster.node_of("llm-mesh:" + SLOTS)
    assert node.client.zcard("llm-mesh:" + SLOTS) == 10


def test_nodes_that_lost_their_scripts_get_them_again(cluster: Cluster, store: RedisStore) -> None:
    assert store.ask(every(1), None).is_granted
    for node in cluster.nodes:
        node.client.script_flush()
    reserved = store.ask(every(1), None)
    assert reserved.is_granted
    store.settle(undone(reserved, 2))
    store.flush(5)
    assert cluster.keys("*:t") == []


@pytest.fixture
def own_cluster(program: str, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster


def away(store: RedisStore, request: Reserve) -> bool:
    try:
        store.ask(request, None)
    except PolicyUnavailable:
        return True
    return False


@pytest.mark.parametrize("fault", ["hang", "stop"])
def test_a_node_that_is_away_costs_little_and_is_used_again(
    own_cluster: Cluster, fault: str, make_store: Callable[..., RedisStore]
) -> None:
    store = make_store(own_cluster)
    request = Reserve((BucketClaim(BUCKETS[0], HOUR // 10, HOUR),))
    assert not away(store, request)
    node = own_cluster.node_of("llm-mesh:" + BUCKETS[0])
    getattr(node, fault)()
    began = time.monotonic()
    assert all(away(store, request) for _ in range(50))
    assert time.monotonic() - began < 2.5  # one attempt a second; the others cost nothing
    assert store.ask(Reserve(request.claims, is_local=True), None).is_local
    node.go_on() if fault == "hang" else node.start()
    deadline = time.monotonic() + 20
    while away(store, request) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not away(store, request)


@pytest.fixture
def make_store() -> Iterator[Callable[..., RedisStore]]:
    made: list[RedisStore] = []

    def make(cluster: Cluster) -> RedisStore:
        made.append(RedisStore(cluster.url, timeout_s=0.1))
        return made[-1]

    yield make
    for store in made:
        store.close()
