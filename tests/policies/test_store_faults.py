"""What can be wrong with a store, and that nothing is lost when it is well again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.exceptions import PolicyUnavailable
from llm_mesh_middleware.stores import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Claim,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
)
from tests.policies.servers import Server
from tests.policies.slow_link import SlowLink
from tests.waiting import until

pytestmark = pytest.mark.slow

HOUR = 3_600_000_000
TENTH = HOUR // 10  # of a bucket that refills so slowly that time does not matter
BUCKET, SLOTS, MONEY = "{b}:t", "{b}:c", "{b}:m:2026"
CLAIMS = (
    BucketClaim(BUCKET, TENTH, HOUR),
    SlotClaim(SLOTS, 5, HOUR),
    BudgetClaim(MONEY, 100, 10_000, HOUR, HOUR),
)
TIMEOUT_S = 0.3


@dataclass
class Stage:
    """A server of its own, and the link that a store reaches it by."""

    server: Server
    link: SlowLink
    store: RedisStore
    claims: tuple[Claim, ...] = CLAIMS

    def ask(self) -> Reserved | None:
        try:
            return self.store.ask(Reserve(self.claims), None)
        except PolicyUnavailable:
            return None

    async def aask(self) -> Reserved | None:
        try:
            return await self.store.aask(Reserve(self.claims), None)
        except PolicyUnavailable:
            return None

    def settle(self, reserved: Reserved, *, spent: int) -> None:
        money = BudgetChange(MONEY, reserved.slot, 100, spent, HOUR)
        changes = (SlotRelease(SLOTS, reserved.slot), money)
        self.store.settle(Settle(changes, reserved.is_local))

    def left_tenths(self) -> float:
        probe = Reserve((BucketClaim(BUCKET, 0, HOUR),))
        return self.store.ask(probe, None).outcomes[0].left / TENTH

    def money(self, field: str) -> int:
        return int(self.server.client.hget(f"llm-mesh:{MONEY}", field) or 0)


@pytest.fixture
def stage(program: str) -> Iterator[Stage]:
    with ExitStack() as stack:
        server = Server()
        stack.callback(server.stop)
        link = stack.enter_context(SlowLink(server))
        store = RedisStore(link.url, timeout_s=TIMEOUT_S)
        stack.callback(store.close)
        yield Stage(server, link, store)


def slow(stage: Stage, delay_s: float = 3 * TIMEOUT_S) -> None:
    stage.link.delay_s = delay_s


def fill(stage: Stage) -> None:
    """Leave no memory. A script that begins with a removal, as that of slots, is let through."""
    stage.claims = (CLAIMS[0], CLAIMS[2])
    stage.server.client.config_set("maxmemory", "1")


FAULTS: dict[str, tuple[Callable[[Stage], object], Callable[[Stage], object]]] = {
    "refused": (lambda s: s.server.stop(), lambda s: s.server.start()),
    "hung": (lambda s: s.server.hang(), lambda s: s.server.go_on()),
    "slow": (slow, lambda s: slow(s, 0.0)),
    "a replica": (
        lambda s: s.server.client.replicaof("127.0.0.1", "1"),
        lambda s: s.server.client.replicaof("NO", "ONE"),
    ),
    "full": (
        fill,
        lambda s: s.server.client.config_set("maxmemory", "0"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_was_reserved_locally_is_taken_from_a_store_that_is_back(
    stage: Stage, fault: str
) -> None:
    begin, end = FAULTS[fault]
    first = stage.ask()
    assert first is not None
    stage.settle(first, spent=7)
    stage.store.flush(10)
    begin(stage)

    assert stage.ask() is None
    assert await stage.aask() is None
    local = [stage.store.ask(Reserve(CLAIMS, is_local=True), None) for _ in range(3)]
    assert all(each.is_granted and each.is_local for each in local)
    for reserved in local[:2]:
        stage.settle(reserved, spent=20)
    end(stage)

    until(lambda: not stage.store.is_away or stage.ask())
    stage.settle(local[2], spent=20)  # begun before the store was back, ended after
    stage.store.flush(10)
    tried = 1.0 if fault == "refused" else 2.0  # a server that was started again is empty
    # What was asked of the store without an answer may have been taken: it errs to refusing.
    assert stage.left_tenths() <= 10 - 3 - (tried - 1) + 0.1
    spent = 60 if fault == "refused" else 67
    until(lambda: stage.money("s") == spent)
    until(lambda: stage.server.client.zcard(f"llm-mesh:{SLOTS}") <= 1)
    await stage.store.aclose()


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_used_again_within_two_seconds(stage: Stage, fault: str) -> None:
    begin, end = FAULTS[fault]
    assert stage.ask()
    begin(stage)
    assert not stage.ask()
    end(stage)
    began = time.monotonic()
    until(stage.ask)
    # One attempt a second, and its own time on a machine that does other things too.
    assert time.monotonic() - began < 2 + 10 * TIMEOUT_S


@pytest.mark.parametrize("share", [0.2, 0.4])
async def test_a_slow_store_that_answers_in_time_is_used(stage: Stage, share: float) -> None:
    assert stage.ask()
    slow(stage, share * TIMEOUT_S)
    answers = [*(stage.ask() for _ in range(2)), *await asyncio.gather(stage.aask(), stage.aask())]
    if not stage.store.is_away:  # a busy machine may take the rest of the timeout
        assert all(each is not None and each.is_granted for each in answers)
    await stage.store.aclose()


@pytest.mark.parametrize("factor", [1.6, 4])
async def test_a_store_that_answers_too_late_costs_one_timeout_a_second(
    stage: Stage, factor: float
) -> None:
    assert stage.ask()
    assert await stage.aask()
    slow(stage, factor * TIMEOUT_S)
    began = time.monotonic()
    answers = [await stage.aask() if number % 2 else stage.ask() for number in range(40)]
    took_s = time.monotonic() - began
    assert answers == [None] * 40
    assert took_s < 20 * TIMEOUT_S  # forty timeouts are twice as long
    slow(stage, 0.0)
    until(stage.ask)
    stage.store.flush(10)
    # Late answers had slots and money for nobody: they have been given back.
    until(lambda: stage.server.client.zcard(f"llm-mesh:{SLOTS}") <= 3)
    until(lambda: stage.money("h") <= 300)
    await stage.store.aclose()


def test_a_lost_script_is_no_failure(stage: Stage) -> None:
    for _ in range(3):
        assert stage.ask()
        stage.server.client.script_flush()
    assert not stage.store.is_away


def test_a_change_that_comes_back_late_is_applied_once(stage: Stage) -> None:
    assert stage.ask()
    slow(stage)
    stage.store.settle(Settle((BucketChange(BUCKET, -TENTH // 2),)))
    time.sleep(0.05)
    slow(stage, 0.0)
    until(lambda: not stage.store.is_away and stage.ask())
    stage.store.flush(10)
    assert abs(stage.left_tenths() - 8.5) < 0.1
