"""Budgets in memory and in Redis against a plain model: both decide and hold the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from llm_mesh_middleware._engine.ports.memory import MemoryStore
from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.stores import (
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Claim,
    Reserve,
    Reserved,
    Settle,
)
from tests.policies.servers import Server

HOUR = 3_600_000_000
KEY = "{default/team/money}:m:2026"
BILLION = 10**9 * 10**9  # nano-units: more than a double holds exactly


def budget(need: int, amount: int = 100, *, is_soft: bool = False, hold_us: int = HOUR) -> Claim:
    return BudgetClaim(KEY, need, amount, hold_us, HOUR, is_soft)


def paid(reserved: Reserved, need: int, spent: int) -> Settle:
    return Settle((BudgetChange(KEY, reserved.slot, need, spent, HOUR),))


@dataclass
class Books:
    """A store that is asked and told at once."""

    store: MemoryStore | RedisStore
    now: list[int] = field(default_factory=list)

    def reserve(self, *claims: Claim) -> Reserved:
        return self.store.ask(Reserve(claims), None)

    def settle(self, settlement: Settle) -> None:
        self.store.settle(settlement)
        if isinstance(self.store, RedisStore):
            self.store.flush()

    def level(self) -> tuple[int, int]:
        """Return what is spent, and what is reserved."""
        outcome = self.reserve(budget(1000, 0), BucketClaim("{full}:t", 2, 1)).outcomes[0]
        return outcome.spent, -outcome.left - outcome.spent


@pytest.fixture
def memory() -> Books:
    now = [10**12]
    return Books(MemoryStore(clock_us=lambda: now[0]), now)


@pytest.fixture
def redis(server: Server, open_store: Callable[..., RedisStore]) -> Books:
    return Books(open_store(server, timeout_s=5))


@pytest.fixture(params=["memory", "redis"])
def books(request: pytest.FixtureRequest) -> Iterator[Books]:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_an_amount_is_admitted_up_to_the_last_unit(books: Books) -> None:
    first = books.reserve(budget(60))
    assert (first.is_granted, first.outcomes[0].left) == (True, 40)
    assert not books.reserve(budget(41)).is_granted
    assert books.reserve(budget(40)).is_granted
    assert books.level() == (0, 100)


def test_what_was_spent_stays_and_the_rest_is_free_again(books: Books) -> None:
    reserved = books.reserve(budget(60))
    books.settle(paid(reserved, 60, 25))
    assert books.level() == (25, 0)
    assert not books.reserve(budget(76)).is_granted
    assert books.reserve(budget(75)).is_granted


def test_a_call_may_cost_more_than_was_reserved(books: Books) -> None:
    books.settle(paid(books.reserve(budget(60)), 60, 130))
    refused = books.reserve(budget(1))
    assert (refused.is_granted, refused.outcomes[0].left) == (False, -30)
    assert books.reserve(budget(1, amount=131)).is_granted  # a higher amount holds at once


def test_a_soft_budget_is_taken_beyond_its_amount(books: Books) -> None:
    reserved = books.reserve(budget(250, is_soft=True))
    assert reserved.is_granted
    assert reserved.outcomes[0].wait_us > 0
    assert books.level() == (0, 250)


def test_a_refusal_of_another_claim_takes_nothing(books: Books) -> None:
    assert books.reserve(BucketClaim("{b}:t", HOUR, HOUR)).is_granted
    assert not books.reserve(budget(10), BucketClaim("{b}:t", HOUR, HOUR)).is_granted
    assert books.level() == (0, 0)


def test_large_amounts_are_exact(books: Books) -> None:
    for _ in range(3):
        books.settle(paid(books.reserve(budget(1, BILLION)), 1, BILLION // 9 + 1))
    outcome = books.reserve(budget(1, BILLION)).outcomes[0]
    assert abs(outcome.spent - 3 * (BILLION // 9 + 1)) <= 64  # a script's numbers are doubles
    if isinstance(books.store, RedisStore):
        held = books.store._lines._client.hget("llm-mesh:" + KEY, "s")
        assert int(held) == 3 * (BILLION // 9 + 1)


def test_a_reservation_ends_by_itself(memory: Books) -> None:
    memory.reserve(budget(60, hold_us=1000))
    memory.now[0] += 999
    assert memory.level() == (0, 60)
    memory.now[0] += 1
    assert memory.level() == (0, 0)


def test_a_reservation_in_redis_ends_by_itself(redis: Books) -> None:
    late = redis.reserve(budget(60, hold_us=1))
    assert redis.level() == (0, 0)
    redis.settle(paid(late, 60, 10))  # the call goes on, and its cost counts
    assert redis.level() == (10, 0)


def test_a_settlement_that_is_sent_twice_counts_once(redis: Books) -> None:
    store = redis.store
    assert isinstance(store, RedisStore)
    reserved = redis.reserve(budget(60))
    changes = paid(reserved, 60, 25).changes
    assert store._send(changes, "one")
    assert store._send(changes, "one")
    assert redis.level() == (25, 0)


def test_nothing_is_kept_longer_than_it_is_needed(redis: Books, server: Server) -> None:
    redis.settle(paid(redis.reserve(budget(60)), 60, 25))
    redis.reserve(budget(10))
    for key in server.client.keys("*}:m*"):
        assert 0 < server.client.pttl(key) <= 3_600_000


@dataclass
class Model:
    """A budget in plain words."""

    amount: int
    spent: int = 0
    held: dict[str, int] = field(default_factory=dict)

    def admits(self, need: int) -> bool:
        return self.spent + sum(self.held.values()) + need <= self.amount


@pytest.mark.parametrize("seed", range(4))
def test_stores_do_what_the_model_does(books: Books, seed: int) -> None:
    random, model = Random(seed), Model(amount=1000)
    open_: list[tuple[Reserved, int]] = []
    for _ in range(150):
        if open_ and random.random() < 0.45:
            reserved, need = open_.pop(random.randrange(len(open_)))
            spent = random.choice((0, need, random.randint(0, 2 * need)))
            books.settle(paid(reserved, need, spent))
            del model.held[reserved.slot]
            model.spent += spent
            continue
        need, is_soft = random.randint(1, 200), random.random() < 0.2
        reserved = books.reserve(budget(need, model.amount, is_soft=is_soft))
        assert reserved.is_granted == (is_soft or model.admits(need))
        assert (reserved.outcomes[0].wait_us == 0) == model.admits(need)
        if reserved.is_granted:
            open_.append((reserved, need))
            model.held[reserved.slot] = need
        if model.spent > 900:
            model.amount += 1000
        assert books.level() == (model.spent, sum(model.held.values()))


def test_memory_is_bounded() -> None:
    store = MemoryStore(max_keys=100)
    for number in range(1000):
        store.settle(Settle((BudgetChange(f"{{{number}}}:m", "", 0, number, HOUR),)))
    assert len(store) <= 101
    assert store.spent("{999}:m") == 999  # those who spent most are remembered
    assert store.spent("{1}:m") == 0
