"""The bucket's arithmetic, against a plain model of it."""

from __future__ import annotations

from random import Random

from llm_mesh_middleware._core.limiting.bucket import Rate, admit, remaining_us, settled
from tests.policies.model import EXACT_RATES, ModelBucket, operations
from tests.rows import rows

MINUTE = 60_000_000


@rows("rate", EXACT_RATES)
def test_the_bucket_decides_and_holds_what_the_model_does(rate: Rate) -> None:
    random = Random(str(rate))
    for _ in range(80):
        model, full_at, now = ModelBucket.full(rate), 0, 0
        for operation in operations(random, rate, 40):
            now += operation.pause_us
            model.pass_to(now)
            if operation.is_settlement:
                change = rate.cost_us(abs(operation.units))
                full_at = settled(full_at, now, change if operation.units > 0 else -change)
                model.settle(operation.units)
            else:
                need = rate.cost_us(operation.units)
                wait = admit(full_at, now, need, rate.capacity_us)
                assert (wait == 0) == model.reserve(operation.units)
                if not wait:
                    full_at = max(full_at, now) + need
            left = remaining_us(full_at, now, rate.capacity_us)
            assert left * rate.amount == model.level * rate.period_us


@rows(
    ("missing", "need", "wait"),
    [
        (0, 100, 0),  # a full bucket gives all it has
        (1, 100, 1),
        (40, 60, 0),
        (40, 61, 1),
        (150, 1, 51),  # a debt is waited out first
        (0, 1000, 0),  # more than it ever has: once it is full
        (1, 1000, 1),
        (100, 0, 0),  # nothing is free, as long as there is no debt
    ],
)
def test_a_bucket_of_100_admits(missing: int, need: int, wait: int) -> None:
    assert admit(1000 + missing, 1000, need, 100) == wait


def test_after_the_wait_that_it_names_a_bucket_admits() -> None:
    random = Random(1)
    for _ in range(500):
        full_at, need = random.randint(0, 10_000), random.randint(0, 3000)
        wait = admit(full_at, 500, need, 2000)
        assert admit(full_at, 500 + wait, need, 2000) == 0
        assert wait == 0 or admit(full_at, 500 + wait - 1, need, 2000) == 1


@rows(
    ("rate", "units", "cost"),
    [
        (Rate(60, MINUTE, 60), 1, 1_000_000),
        (Rate(7, MINUTE, 7), 1, 8_571_429),  # rounded up: never more than the limit
        (Rate(7, MINUTE, 7), 7, MINUTE),
        (Rate(999_983, 2_592_000_000_000, 1), 1, 2_592_045),
        (Rate(10**9, MINUTE, 1), 3, 1),
    ],
)
def test_the_cost_of_units_is_rounded_up(rate: Rate, units: int, cost: int) -> None:
    assert rate.cost_us(units) == cost


@rows("amount", [1, 3, 7, 999, 1000])
def test_a_period_admits_no_more_than_the_amount_beyond_the_burst(amount: int) -> None:
    rate, full_at, admitted = Rate(amount, MINUTE, 2), 0, 0
    for now in range(0, 10 * MINUTE + 1, 20_000):
        while admit(full_at, now, rate.cost_us(1), rate.capacity_us) == 0:
            full_at = max(full_at, now) + rate.cost_us(1)
            admitted += 1
    assert 10 * amount * 0.99 <= admitted <= 10 * amount + 2
