"""Requests to the store of limits: reserve before a call, settle after it.

    Reserve   one claim for each bucket, budget or set of slots of a request, all or nothing
    Reserved  the outcome of each claim, in order
    Settle    corrections of reservations, each applied once

Keys contain hashes of values that clients choose. Amounts are microseconds of refilling (`bucket`).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

__all__ = [
    "BucketChange",
    "BucketClaim",
    "BudgetChange",
    "BudgetClaim",
    "Change",
    "Claim",
    "Outcome",
    "QuickStore",
    "Reserve",
    "Reserved",
    "Settle",
    "SlotClaim",
    "SlotRelease",
    "Store",
]


class BucketClaim(msgspec.Struct, frozen=True, gc=False):
    """Take `need_us` from a bucket. A shadow claim takes nothing if there is not enough."""

    key: str
    need_us: int
    capacity_us: int
    is_shadow: bool = False


class SlotClaim(msgspec.Struct, frozen=True, gc=False):
    """Take one of `slots`; it expires after `hold_us` unless it is released before."""

    key: str
    slots: int
    hold_us: int
    is_shadow: bool = False


class BudgetClaim(msgspec.Struct, frozen=True, gc=False):
    """Reserve `need` nano-units of the `amount` of a window, for `hold_us` at most.

    The spent amount expires after `keep_us`, when the window is over. A soft claim is granted even
    beyond the amount.
    """

    key: str
    need: int
    amount: int
    hold_us: int
    keep_us: int
    is_soft: bool = False

    @property
    def is_shadow(self) -> bool:
        """Whether the claim is granted in any case."""
        return self.is_soft


Claim = BucketClaim | SlotClaim | BudgetClaim


class Reserve(msgspec.Struct, frozen=True):
    """Grant all claims that are not shadow claims, or none.

    `is_local`: use the memory of this process, because the shared store is unavailable.
    """

    claims: tuple[Claim, ...]
    is_local: bool = False


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one claim: the time to wait, 0 if it was granted, and what is `left`.

    `left` is in microseconds of refilling, slots, or nano-units that are neither `spent` nor
    reserved. `expired` counts the slots, or the reservations of money, that were not released in
    time, such as those of a process that died; each is reported once.
    """

    wait_us: int
    left: int
    spent: int = 0
    expired: int = 0


class Reserved(msgspec.Struct, frozen=True):
    """The outcomes of the claims in order; `slot` names the slots and the money that were taken.

    `is_local`: it was reserved in the memory of this process.
    """

    is_granted: bool
    outcomes: tuple[Outcome, ...]
    slot: str = ""
    is_local: bool = False


class BucketChange(msgspec.Struct, frozen=True, gc=False):
    """The difference between what was used and what was reserved; negative if less was used."""

    key: str
    change_us: int


class SlotRelease(msgspec.Struct, frozen=True, gc=False):
    """Release a slot."""

    key: str
    slot: str


class BudgetChange(msgspec.Struct, frozen=True, gc=False):
    """Replace the nano-units that `slot` has `reserved`, if still held, by those `spent`."""

    key: str
    slot: str
    reserved: int
    spent: int
    keep_us: int


Change = BucketChange | SlotRelease | BudgetChange


class Settle(msgspec.Struct, frozen=True):
    """Apply each change independently. `is_local` is that of the reservation."""

    changes: tuple[Change, ...]
    is_local: bool = False


@runtime_checkable
class Store(Protocol):
    """The port of limits. It returns `Reserved` for a `Reserve`.

    If a caller stops waiting for a `Reserve`, the store undoes it.
    """

    def ask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, in the thread of the exchange.

        Raises:
            PolicyUnavailable: the store cannot be reached in time.
        """

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        """Do as `ask`, in the event loop of the exchange."""

    def settle(self, request: Settle) -> None:
        """Accept the changes and return immediately; the store applies them."""


class QuickStore(Store, Protocol):
    """A store that never waits, so that it is called without a step."""

    answers_at_once: bool

    def take(self, key: str, need_us: int, capacity_us: int) -> int | None:
        """Return the rest of a bucket after taking `need_us`; None if there is not enough.

        It has the effect of `ask` for one granted `BucketClaim`, without allocating values.
        """

    def change(self, key: str, change_us: int) -> None:
        """Apply one `BucketChange`, like `settle`."""
