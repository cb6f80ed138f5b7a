"""Random sequences of reservations and settlements, on the memory, the scripts, and a plain model.

    python -m tests.policies.sequences [--count 100000] [--seed 1]

A sequence is a few calls that share a bucket, slots and a budget, near the edges of each. The
memory and the scripts must agree on every answer to the last unit, and with the model on who is
admitted and what is left of the bucket, where a unit takes a whole number of microseconds. The
scripts run inside of one that has the clock as an argument, a sequence at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from llm_mesh_middleware._core.limiting.bucket import Rate
from llm_mesh_middleware._engine.ports.redis_store.scripts import (
    RESERVE,
    SETTLE,
    read_reserved,
    reserve_call,
    settle_call,
)
from llm_mesh_middleware.stores import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Claim,
    MemoryStore,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
)
from tests.policies.model import EXACT_RATES, ModelBucket
from tests.policies.servers import Server

__all__ = ["compare"]

_CALLS = 10
_SLOTS, _AMOUNT = 3, 1000
_DAY_US = 86_400_000_000
_BEGIN_US = 50_000_000_000_000
_BATCH = 200


def _body(script: str) -> str:
    """Return a script without its clock: `now` is an argument of what is around it.

    Keys do not expire either, which would be by the clock of the server.
    """
    begin, _, rest = script.partition("local time")
    body = begin + rest.partition("1000000 + time[2]\n")[2]
    return body.replace("redis.call('PEXPIRE'", "expire('PEXPIRE'")


_RUN = f"""
local function expire() end
local function reserve(KEYS, ARGV, now) {_body(RESERVE.text)} end
local function settle(KEYS, ARGV, now) {_body(SETTLE.text)} end
local answers = {{}}
for _, call in ipairs(cjson.decode(ARGV[1])) do
  local run = call.kind == 'reserve' and reserve or settle
  table.insert(answers, run(call.keys, call.values, tonumber(call.now)))
end
return answers
"""


@dataclass
class Model:
    """What there is, in plain words: whole seconds of nothing are as good as an entry that ends."""

    bucket: ModelBucket
    slots: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    spent: int = 0

    def admits(self, now: int, claims: tuple[Claim, ...], units: int) -> bool:
        self.bucket.pass_to(now)
        self.slots = {name: end for name, end in self.slots.items() if end > now}
        self.held = {name: (end, sum_) for name, (end, sum_) in self.held.items() if end > now}
        return all(claim.is_shadow or self._has(claim, units) for claim in claims)

    def take(self, now: int, claims: tuple[Claim, ...], units: int, name: str) -> None:
        for claim in claims:
            if isinstance(claim, BudgetClaim):
                self.held[name] = now + claim.hold_us, claim.need
            elif not self._has(claim, units):
                continue
            elif isinstance(claim, BucketClaim):
                self.bucket.reserve(units)
            else:
                self.slots[name] = now + claim.hold_us

    def _has(self, claim: Claim, units: int) -> bool:
        if isinstance(claim, BucketClaim):
            return self.bucket.level >= min(units, self.bucket.rate.burst)
        if isinstance(claim, SlotClaim):
            return len(self.slots) < claim.slots
        held = sum(amount for _, amount in self.held.values())
        return self.spent + held + claim.need <= claim.amount


class Sequence:
    """One sequence, as it goes on in the memory and in the model; `calls` are for the scripts."""

    def __init__(self, number: int, random: Random) -> None:
        self._random = random
        self._is_exact = random.random() < 0.5
        self._rate = random.choice(EXACT_RATES) if self._is_exact else _any_rate(random)
        self._now = _BEGIN_US + random.randrange(10**9)
        self._memory = MemoryStore(clock_us=lambda: self._now)
        self._model = Model(ModelBucket.full(self._rate))
        self._model.bucket.at_us = self._now
        self._open: list[tuple[Reserved, tuple[Claim, ...], int]] = []
        self._tag = f"{{{number}}}"
        self.calls: list[dict[str, Any]] = []
        self.expected: list[Reserved | None] = []
        for _ in range(_CALLS):
            self._now += self._pause()
            self._settle() if self._open and random.random() < 0.4 else self._reserve()

    def _pause(self) -> int:
        cost, random = self._rate.cost_us, self._random
        return random.choice((0, 0, 1, cost(1), cost(random.randint(1, 50))))

    def _reserve(self) -> None:
        rate, random = self._rate, self._random
        units = random.choice((0, 1, rate.burst, rate.burst + 7, random.randint(1, rate.burst)))
        claims = self._claims(units)
        reserved = self._memory.ask(Reserve(claims), None)
        name = f"{len(self.calls)}"
        if self._is_exact:
            assert reserved.is_granted == self._model.admits(self._now, claims, units), self._tag
            if reserved.is_granted:
                self._model.take(self._now, claims, units, reserved.slot or name)
            left, level = reserved.outcomes[0].left, self._model.bucket.level
            assert left * rate.amount == level * rate.period_us, self._tag
        if reserved.is_granted:
            self._open.append((reserved, claims, units))
        self._call("reserve", reserve_call(claims, "p", reserved.slot or name), reserved)

    def _claims(self, units: int) -> tuple[Claim, ...]:
        rate, random, tag = self._rate, self._random, self._tag
        is_shadow, hold_us = random.random() < 0.2, random.choice((1, rate.cost_us(5), _DAY_US))
        claims: list[Claim] = [
            BucketClaim(f"{tag}:t", rate.cost_us(units), rate.capacity_us, is_shadow),
            SlotClaim(f"{tag}:c", _SLOTS, hold_us, random.random() < 0.2),
        ]
        if random.random() < 0.5:
            need, is_soft = random.randint(1, _AMOUNT // 2), random.random() < 0.2
            claims.append(BudgetClaim(f"{tag}:m", need, _AMOUNT, hold_us, _DAY_US, is_soft))
        return tuple(claims[: random.choice((1, 3, 3))])

    def _settle(self) -> None:
        reserved, claims, units = self._open.pop(self._random.randrange(len(self._open)))
        changes = tuple(self._changes(reserved, claims, units))
        self._memory.settle(Settle(changes))
        self._call("settle", settle_call(changes, "p", f"mark-{len(self.calls)}"), None)

    def _changes(
        self, reserved: Reserved, claims: tuple[Claim, ...], units: int
    ) -> Iterator[Change]:
        model, random, slot = self._model, self._random, reserved.slot
        for claim in claims:
            if isinstance(claim, BucketClaim):
                more = random.randint(-units, self._rate.burst)
                cost = self._rate.cost_us(abs(more))
                yield BucketChange(claim.key, cost if more > 0 else -cost)
                model.bucket.pass_to(self._now)
                model.bucket.settle(more)
            elif isinstance(claim, SlotClaim):
                yield SlotRelease(claim.key, slot)
                model.slots.pop(slot, None)
            else:
                spent = random.randint(0, _AMOUNT // 4)
                yield BudgetChange(claim.key, slot, claim.need, spent, _DAY_US)
                model.held.pop(slot, None)
                model.spent += spent

    def _call(self, kind: str, arguments: list[str | int], expected: Reserved | None) -> None:
        count, *rest = arguments
        keys, values = rest[: int(count)], [str(value) for value in rest[int(count) :]]
        call = {"kind": kind, "now": str(self._now), "keys": keys, "values": values}
        self.calls.append(call)
        self.expected.append(expected)


def _any_rate(random: Random) -> Rate:
    amount = random.randint(1, 10**6)
    return Rate(amount, random.randint(10**3, 10**11), random.randint(1, 2 * amount))


def compare(server: Server, *, count: int, seed: int) -> int:
    """Try `count` sequences; return how many calls they made.

    Raises:
        AssertionError: the memory, the scripts or the model disagree.
    """
    random, calls = Random(seed), 0
    for begin in range(0, count, _BATCH):
        server.client.flushall()
        pipeline = server.client.pipeline(transaction=False)
        batch = [Sequence(number, random) for number in range(begin, min(count, begin + _BATCH))]
        for each in batch:
            pipeline.eval(_RUN, 0, json.dumps(each.calls))
        for each, answers in zip(batch, pipeline.execute(), strict=True):
            calls += len(answers)
            for answer, expected in zip(answers, each.expected, strict=True):
                if expected is not None:
                    told = read_reserved(answer, "")
                    assert told.is_granted == expected.is_granted, each.calls
                    assert told.outcomes == expected.outcomes, each.calls
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.policies.sequences")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    server, began = Server(), time.monotonic()
    try:
        calls = compare(server, count=options.count, seed=options.seed)
    finally:
        server.stop()
    took_s = time.monotonic() - began
    sys.stdout.write(f"{options.count} sequences, {calls} calls, all agree; {took_s:.0f} s\n")


if __name__ == "__main__":
    main()
