"""A bucket that refills all the time and may be in debt, as one integer.

The integer is `full_at`: the microsecond at which the bucket is full again. What is taken moves it
ahead, what is given back moves it backwards, and time does the refilling.

            now                full_at                  now + capacity
    ---------|--------------------|---------------------------|-------->
             |<---- missing ----->|<-------- left ----------->|

`full_at` beyond `now + capacity` is debt; `full_at` in the past means full, as does no state at
all. Amounts are converted to microseconds of refilling before they get here, so everything below
adds and compares integers: a script in a store computes the same.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

__all__ = ["Rate", "admit", "left_us", "settled"]

# A century and a half, which a store's double precision holds exactly together with the time of
# day.
_LONGEST_US = 2**52


class Rate(msgspec.Struct, frozen=True):
    """`amount` units each `period_us`, of which up to `burst` may be used at once.

    The others follow from these: `capacity_us` is how long an empty bucket takes to fill, `unit_us`
    how long one unit takes, `written` is the burst as header fields have it.
    """

    amount: int
    period_us: int
    burst: int
    capacity_us: int = 0
    unit_us: int = 0
    written: bytes = b""

    def __post_init__(self) -> None:
        force_setattr(self, "capacity_us", self.cost_us(self.burst))
        force_setattr(self, "unit_us", self.cost_us(1))
        force_setattr(self, "written", b"%d" % self.burst)

    def cost_us(self, units: int) -> int:
        """Return how long the bucket takes to refill `units`, rounded up."""
        cost = -(-units * self.period_us // self.amount)
        return cost if cost < _LONGEST_US else _LONGEST_US

    def units(self, time_us: int) -> int:
        """Return the whole units that are refilled in `time_us`."""
        return time_us * self.amount // self.period_us


def admit(full_at: int, now: int, need_us: int, capacity_us: int) -> int:
    """Return how long to wait until `need_us` may be taken, 0 if now.

    A need above the capacity is admitted when the bucket is full, and leaves a debt: else it would
    never be admitted.
    """
    missing = full_at - now if full_at > now else 0
    wait = missing - capacity_us + (need_us if need_us < capacity_us else capacity_us)
    return wait if wait > 0 else 0


def settled(full_at: int, now: int, change_us: int) -> int:
    """Return the new `full_at` when so much more was used than reserved; negative for less."""
    full_at = (full_at if full_at > now else now) + change_us
    return full_at if full_at > now else now


def left_us(full_at: int, now: int, capacity_us: int) -> int:
    """Return what may be taken now; negative for a debt."""
    return capacity_us - (full_at - now) if full_at > now else capacity_us
