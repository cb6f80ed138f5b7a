"""The store in Redis: as exact as the one in memory, and no obstacle when the server is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from llm_mesh_middleware._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    Claim,
    Reserve,
    Settle,
    SlotClaim,
    SlotRelease,
)
from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.exceptions import PolicyUnavailable
from tests.policies.sequences import compare
from tests.policies.servers import Server
from tests.waiting import until

Open = Callable[..., RedisStore]
HOUR = 3_600_000_000
SLOW = BucketClaim("{b}:t", HOUR // 10, HOUR)  # refills so slowly that time does not matter

ONE = Reserve((SLOW,))


def reserve(store: RedisStore, *claims: Claim, is_local: bool = False) -> bool:
    return store.ask(Reserve(claims, is_local), None).is_granted


def test_the_scripts_the_memory_and_a_plain_model_agree(server: Server) -> None:
    assert compare(server, count=1_000, seed=1) == 10_000


def test_the_server_forgets_buckets_when_they_are_full(server: Server, open_store: Open) -> None:
    store = open_store(server)
    assert reserve(store, SLOW, SlotClaim("{b}:c", 1, HOUR))
    assert reserve(store, BucketClaim("{a}:t", 1000, 10_000), SlotClaim("{a}:c", 1, 200_000))
    until(lambda: sorted(server.client.keys()) == [b"llm-mesh:{b}:c", b"llm-mesh:{b}:t"])


def test_what_is_settled_is_applied_once(server: Server, open_store: Open) -> None:
    store = open_store(server, prefix="other")
    answer = store.ask(Reserve((SLOW, SlotClaim("{b}:c", 1, HOUR))), None)
    assert server.client.zcard("other:{b}:c") == 1
    changes = (BucketChange("{b}:t", -HOUR // 20), SlotRelease("{b}:c", answer.slot))
    store.settle(Settle(changes))
    store.flush()
    assert server.client.zcard("other:{b}:c") == 0
    left = store.ask(Reserve((BucketClaim("{b}:t", 0, HOUR),)), None).outcomes[0].left
    assert abs(left - HOUR * 19 // 20) < 5_000_000
    for _ in range(3):  # a settlement whose answer was lost
        store._send(changes, "again")
    left = store.ask(Reserve((BucketClaim("{b}:t", 0, HOUR),)), None).outcomes[0].left
    assert left >= HOUR - 5_000_000


async def test_tasks_admit_exactly_what_the_limit_says(server: Server, open_store: Open) -> None:
    store = open_store(server, timeout_s=2)
    answers = await asyncio.gather(*(store.aask(Reserve((SLOW,)), None) for _ in range(200)))
    assert sum(answer.is_granted for answer in answers) == 10
    before = server.client.info("stats")["total_reads_processed"]
    await asyncio.gather(*(store.aask(Reserve((SLOW,)), None) for _ in range(100)))
    assert server.client.info("stats")["total_reads_processed"] - before < 20  # they went together
    await store.aclose()


async def test_a_reservation_that_nobody_waits_for_is_given_back(
    server: Server, open_store: Open
) -> None:
    store = open_store(server, timeout_s=2)
    await store.aask(Reserve((BucketClaim("{x}:t", 0, 1),)), None)
    server.hang()
    task = asyncio.create_task(store.aask(Reserve((SLOW, SlotClaim("{b}:c", 1, HOUR))), None))
    await asyncio.sleep(0.02)
    task.cancel()
    server.go_on()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    until(lambda: server.client.keys("*}:[tc]") == [])


async def test_a_cancellation_that_comes_with_the_answer_gives_it_back(
    server: Server, open_store: Open
) -> None:
    store = open_store(server, timeout_s=2)
    for turn in range(60):
        request = Reserve((BucketClaim(f"{{{turn}}}:t", HOUR, HOUR), SlotClaim("{b}:c", 99, HOUR)))
        task = asyncio.create_task(store.aask(request, None))
        for _ in range(turn % 12):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            changes = (
                BucketChange(f"{{{turn}}}:t", -HOUR),
                SlotRelease("{b}:c", task.result().slot),
            )
            store.settle(Settle(changes))
    await store.aclose()
    assert server.client.keys("*}:[tc]") == []


def test_a_server_that_lost_its_scripts_gets_them_again(server: Server, open_store: Open) -> None:
    store = open_store(server)
    assert reserve(store, SLOW)
    server.client.script_flush()
    assert reserve(store, SLOW)
    store.settle(Settle((BucketChange("{b}:t", -2 * SLOW.need_us),)))
    store.flush()
    assert server.client.get("llm-mesh:{b}:t") is None


def refused(server: Server) -> None:
    server.stop()


def hung(server: Server) -> None:
    server.hang()


def read_only(server: Server) -> None:
    server.client.replicaof("127.0.0.1", "1")


def out_of_memory(server: Server) -> None:
    server.client.config_set("maxmemory", "1")


@pytest.mark.parametrize("fault", [refused, hung, read_only, out_of_memory])
async def test_a_server_that_is_away_costs_one_timeout_a_second(
    own_server: Server, open_store: Open, fault: Callable[[Server], None]
) -> None:
    store = open_store(own_server)
    assert reserve(store, SLOW)
    fault(own_server)
    began = time.monotonic()
    for number in range(50):
        with pytest.raises(PolicyUnavailable):
            await (store.aask(ONE, None) if number % 2 else asyncio.to_thread(store.ask, ONE, None))
    assert time.monotonic() - began < 2  # fifty timeouts are 2.5 s
    assert [reserve(store, SLOW, is_local=True) for _ in range(11)] == [True] * 10 + [False]


def test_when_it_is_back_it_is_used_and_knows_what_was_reserved_locally(
    own_server: Server, open_store: Open
) -> None:
    store = open_store(own_server)
    assert reserve(store, SLOW)
    own_server.stop()
    with pytest.raises(PolicyUnavailable):
        reserve(store, SLOW)
    local = store.ask(Reserve((SLOW,), is_local=True), None)
    assert local.is_local
    for _ in range(3):
        reserve(store, SLOW, is_local=True)
    store.settle(Settle((BucketChange("{b}:t", -SLOW.need_us),), local.is_local))
    own_server.start()

    def is_back() -> bool:
        try:
            store.ask(Reserve((BucketClaim("{other}:t", 0, 1),)), None)
        except PolicyUnavailable:
            return False
        return True

    until(is_back, within_s=2)
    store.flush()
    left = store.ask(Reserve((BucketClaim("{b}:t", 0, HOUR),)), None).outcomes[0].left
    assert abs(left - HOUR * 7 // 10) < 10_000_000  # three were kept, as the server came up empty


def test_settlements_wait_for_a_server_that_hangs(own_server: Server, open_store: Open) -> None:
    store = open_store(own_server)
    assert reserve(store, SLOW)
    own_server.hang()
    store.settle(Settle((BucketChange("{b}:t", -SLOW.need_us),)))
    store.flush(0.1)
    own_server.go_on()
    until(lambda: own_server.client.get("llm-mesh:{b}:t") is None)


def test_a_password_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    store = RedisStore("redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(PolicyUnavailable) as raised:
        reserve(store, SLOW)
    assert "hunter2" not in f"{raised.value} {store!r} {caplog.text}"
    store.close()
