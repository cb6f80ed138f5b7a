"""A bucket in plain words and fractions, to judge the real ones by; and sequences to try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from llm_mesh_middleware._core.limiting.bucket import Rate

# Rates of which one unit takes a whole number of microseconds: then nothing is rounded.
EXACT_RATES = (
    Rate(100, 60_000_000, 100),
    Rate(1000, 60_000_000, 250),
    Rate(6, 3_600_000_000, 1),
    Rate(1, 1_000_000, 5),
    Rate(1_000_000, 1_000_000, 3_000_000),
)


@dataclass
class ModelBucket:
    """`level` units are there; it may be negative, and grows with time up to the burst."""

    rate: Rate
    level: Fraction
    at_us: int = 0

    @classmethod
    def full(cls, rate: Rate) -> ModelBucket:
        return cls(rate, Fraction(rate.burst))

    def pass_to(self, now: int) -> None:
        refill = Fraction(self.rate.amount * (now - self.at_us), self.rate.period_us)
        self.level = min(Fraction(self.rate.burst), self.level + refill)
        self.at_us = now

    def reserve(self, units: int) -> bool:
        if self.level < min(units, self.rate.burst):
            return False
        self.level -= units
        return True

    def settle(self, more: int) -> None:
        self.level = min(Fraction(self.rate.burst), self.level - more)


@dataclass(frozen=True)
class Operation:
    """`units` are reserved, or if `is_settlement` so many more were used."""

    pause_us: int
    units: int
    is_settlement: bool


def operations(random: Random, rate: Rate, count: int) -> Iterator[Operation]:
    """Sequences that keep the bucket near its edges."""
    for _ in range(count):
        pause = random.choice((0, 0, 1, rate.cost_us(1), rate.cost_us(random.randint(1, 50))))
        if random.random() < 0.35:
            units = random.randint(-rate.burst, rate.burst)
            yield Operation(pause, units, is_settlement=True)
        else:
            units = random.choice((0, 1, rate.burst, rate.burst + 7, random.randint(1, rate.burst)))
            yield Operation(pause, units, is_settlement=False)
