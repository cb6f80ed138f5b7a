"""The store of limits in memory: exact under threads, all or nothing, bounded."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

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
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from tests.policies.model import EXACT_RATES, ModelBucket, operations
from tests.rows import rows


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def make() -> tuple[MemoryStore, Clock]:
    clock = Clock()
    return MemoryStore(clock_us=clock), clock


def reserve(store: MemoryStore, *claims: Claim) -> bool:
    return store.ask(Reserve(claims), None).is_granted


@rows("rate", EXACT_RATES)
def test_it_decides_as_the_model_does(rate) -> None:
    random = Random(7)
    for run in range(50):
        store, clock = make()
        model = ModelBucket.full(rate)
        model.at_us = clock.now
        for operation in operations(random, rate, 40):
            clock.now += operation.pause_us
            model.pass_to(clock.now)
            if operation.is_settlement:
                change = rate.cost_us(abs(operation.units))
                change = change if operation.units > 0 else -change
                store.settle(Settle((BucketChange(f"b{run}", change),)))
                model.settle(operation.units)
            else:
                claim = BucketClaim(f"b{run}", rate.cost_us(operation.units), rate.capacity_us)
                assert reserve(store, claim) == model.reserve(operation.units)
            left = store.remaining_us(f"b{run}", rate.capacity_us)
            assert left * rate.amount == model.level * rate.period_us


def test_one_claim_that_cannot_be_granted_leaves_the_others_untouched() -> None:
    store, _ = make()
    granted = store.ask(
        Reserve((BucketClaim("a", 10, 100), SlotClaim("s", 1, 1000), BucketClaim("b", 60, 50))),
        None,
    )
    assert granted.is_granted
    refused = store.ask(
        Reserve((BucketClaim("a", 10, 100), SlotClaim("t", 1, 1000), BucketClaim("b", 1, 50))),
        None,
    )
    assert not refused.is_granted
    assert [outcome.wait_us for outcome in refused.outcomes] == [0, 0, 11]
    assert [outcome.left for outcome in refused.outcomes] == [90, 1, -10]
    assert (store.remaining_us("a", 100), store.taken("t")) == (90, 0)


def test_a_claim_in_shadow_refuses_nobody_and_is_not_taken() -> None:
    store, _ = make()
    shadow = BucketClaim("a", 80, 100, is_shadow=True)
    assert reserve(store, shadow)
    answer = store.ask(Reserve((shadow, BucketClaim("b", 1, 10))), None)
    assert answer.is_granted
    assert [outcome.wait_us for outcome in answer.outcomes] == [60, 0]
    assert (store.remaining_us("a", 100), store.remaining_us("b", 10)) == (20, 9)


def test_slots_are_given_back_once_or_expire() -> None:
    store, clock = make()
    claim = SlotClaim("s", 2, hold_us=1000)
    slots = [store.ask(Reserve((claim,)), None).slot for _ in range(2)]
    assert not reserve(store, claim)
    for _ in range(2):
        store.settle(Settle((SlotRelease("s", slots[0]),)))
    assert store.taken("s") == 1
    assert reserve(store, claim)
    assert not reserve(store, claim)
    clock.now += 1000
    assert store.taken("s") == 0
    assert len(store) == 0


def test_threads_admit_exactly_what_the_limit_says() -> None:
    store, _ = make()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            claim = BucketClaim("a", 7, 7000)
            granted = list(pool.map(lambda _: reserve(store, claim), range(3000)))
    finally:
        sys.setswitchinterval(interval)
    assert sum(granted) == 1000


async def test_tasks_admit_exactly_what_the_limit_says() -> None:
    store, _ = make()
    request = Reserve((BucketClaim("a", 1, 10), SlotClaim("s", 7, 1000)))
    answers = await asyncio.gather(*(store.aask(request, None) for _ in range(50)))
    assert sum(answer.is_granted for answer in answers) == 7


def test_it_remembers_a_bounded_number_of_buckets_and_those_in_debt_first() -> None:
    clock = Clock()
    store = MemoryStore(clock_us=clock, max_keys=100)
    reserve(store, BucketClaim("deep", 5000, 1000))
    for number in range(1000):
        reserve(store, BucketClaim(f"b{number}", 10 + number % 7, 1000))
        reserve(store, SlotClaim(f"s{number}", 1, 1000))
    assert len(store) <= 200
    assert store.remaining_us("deep", 1000) == -4000


def test_full_buckets_are_forgotten_before_others() -> None:
    clock = Clock()
    store = MemoryStore(clock_us=clock, max_keys=100)
    for number in range(100):
        reserve(store, BucketClaim(f"old{number}", 10, 1000))
    clock.now += 10
    for number in range(40):
        reserve(store, BucketClaim(f"new{number}", 10, 1000))
    assert [store.remaining_us(f"new{number}", 1000) for number in range(40)] == [990] * 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_begins_with_full_buckets() -> None:
    store, _ = make()
    claim = SlotClaim("s", 1, 10**9)
    assert reserve(store, claim)
    child = os.fork()
    if child == 0:
        os._exit(0 if reserve(store, claim) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not reserve(store, claim)


@rows("seed", range(20))
def test_to_take_without_a_claim_is_the_same_as_with_one(seed: int) -> None:
    random, now = Random(seed), [0]
    quick, full = (MemoryStore(clock_us=lambda: now[0], max_keys=3) for _ in range(2))
    for _ in range(200):
        now[0] += random.choice((0, 1, 40, 3_000))
        key, capacity = f"{{k{random.randrange(5)}}}:t", random.choice((100, 2_000))
        if random.random() < 0.6:
            need = random.randrange(2 * capacity)
            left = quick.take(key, need, capacity)
            reserved = full.ask(Reserve((BucketClaim(key, need, capacity),)), None)

            assert (left is not None) == reserved.is_granted
            assert left is None or left == reserved.outcomes[0].left
        else:
            change = random.randrange(-capacity, capacity)
            quick.change(key, change)
            full.settle(Settle((BucketChange(key, change),)))
        assert quick.remaining_us(key, capacity) == full.remaining_us(key, capacity)
