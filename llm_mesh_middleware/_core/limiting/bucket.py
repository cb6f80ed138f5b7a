"""A bucket that refills continuously and may be in debt, as one integer.

The integer is `full_at`: the microsecond at which the bucket is full again. Taking units moves it
ahead, returning units moves it back, and the passing of time refills the bucket.

            now                full_at                  now + capacity
    ---------|--------------------|---------------------------|-------->
             |<---- missing ----->|<------ remaining -------->|

`full_at` beyond `now + capacity` is debt; `full_at` in the past means full, as does no state at
all. Callers convert amounts to microseconds of refilling, so the functions here only add and
compare integers, as the script in a shared store does.
"""

from __future__ import annotations

from math import gcd

import msgspec
from msgspec.structs import force_setattr

__all__ = ["Rate", "admit", "remaining_us", "settled"]

# A century and a half, which a store's double precision holds exactly together with the time of
# day.
_LONGEST_US = 2**52


class Rate(msgspec.Struct, frozen=True):
    """`amount` units each `period_us`, of which up to `burst` may be used at once.

    The other fields are derived: `capacity_us` is the time to fill an empty bucket, `unit_us` the
    time to refill one unit, `written` the burst as a header field's value. `step` units each
    `step_us` are the same rate in the smallest numbers, which are divided the fastest.
    """

    amount: int
    period_us: int
    burst: int
    capacity_us: int = 0
    unit_us: int = 0
    written: bytes = b""
    step: int = 1
    step_us: int = 1

    def __post_init__(self) -> None:
        common = gcd(self.amount, self.period_us)
        force_setattr(self, "step", self.amount // common)
        force_setattr(self, "step_us", self.period_us // common)
        force_setattr(self, "capacity_us", self.cost_us(self.burst))
        force_setattr(self, "unit_us", self.cost_us(1))
        force_setattr(self, "written", b"%d" % self.burst)

    def cost_us(self, units: int) -> int:
        """Return the time to refill `units`, rounded up."""
        cost = -(-units * self.step_us // self.step)
        return cost if cost < _LONGEST_US else _LONGEST_US

    def units(self, time_us: int) -> int:
        """Return the whole units that are refilled in `time_us`."""
        return time_us * self.step // self.step_us


def admit(full_at: int, now: int, need_us: int, capacity_us: int) -> int:
    """Return how long to wait until `need_us` may be taken, 0 if now.

    A need above the capacity is admitted when the bucket is full, and leaves a debt: otherwise it
    would never be admitted.
    """
    missing = full_at - now if full_at > now else 0
    wait = missing - capacity_us + (need_us if need_us < capacity_us else capacity_us)
    return wait if wait > 0 else 0


def settled(full_at: int, now: int, change_us: int) -> int:
    """Return the new `full_at` after using more than was reserved; negative for less."""
    full_at = (full_at if full_at > now else now) + change_us
    return full_at if full_at > now else now


def remaining_us(full_at: int, now: int, capacity_us: int) -> int:
    """Return the time worth of units that may be taken now; negative for a debt."""
    return capacity_us - (full_at - now) if full_at > now else capacity_us
