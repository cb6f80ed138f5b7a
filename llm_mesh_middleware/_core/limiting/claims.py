"""Requests to the store of limits: reserve before a call, settle after it.

    Reserve   one claim for each bucket or set of slots that a request touches, all or nothing
    Reserved  what became of each claim, in order
    Settle    corrections of what was reserved, each applied once

Keys hold hashes of what a client can choose. Amounts are microseconds of refilling (see `bucket`).
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
    """Take `need_us` from a bucket. In shadow it is not taken where there is not enough."""

    key: str
    need_us: int
    capacity_us: int
    is_shadow: bool = False


class SlotClaim(msgspec.Struct, frozen=True, gc=False):
    """Take one of `slots`; it is free again after `hold_us` even if it is not given back."""

    key: str
    slots: int
    hold_us: int
    is_shadow: bool = False


class BudgetClaim(msgspec.Struct, frozen=True, gc=False):
    """Reserve `need` nano-units of the `amount` of a window, for `hold_us` at most.

    What is spent is forgotten after `keep_us`, when the window is over. A soft claim is reserved
    even beyond the amount.
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
    """Grant all claims that are not in shadow, or none.

    `is_local`: ask the memory of this process, because the shared store cannot be reached.
    """

    claims: tuple[Claim, ...]
    is_local: bool = False


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one claim: how long to wait, 0 for none, and what is left.

    What is left is microseconds of refilling, slots, or nano-units that are neither `spent` nor
    reserved. `expired` counts the slots, or the reservations of money, that nobody had given back
    in time, as of a process that died; each is found once.
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
    """So much more was used than was reserved; negative for less."""

    key: str
    change_us: int


class SlotRelease(msgspec.Struct, frozen=True, gc=False):
    """Give a slot back."""

    key: str
    slot: str


class BudgetChange(msgspec.Struct, frozen=True, gc=False):
    """`spent` nano-units were spent of what `slot` has `reserved`, if that is still held."""

    key: str
    slot: str
    reserved: int
    spent: int
    keep_us: int


Change = BucketChange | SlotRelease | BudgetChange


class Settle(msgspec.Struct, frozen=True):
    """Apply the changes, each on its own. `is_local` is that of the reservation."""

    changes: tuple[Change, ...]
    is_local: bool = False


@runtime_checkable
class Store(Protocol):
    """The port of limits. It answers a `Reserve` with `Reserved`.

    A `Reserve` that is given up while it is under way is undone by the store itself.
    """

    def ask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, in the thread of the exchange.

        Raises:
            PolicyUnavailable: the store cannot be reached in time.
        """

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        """Do as `ask`, in the event loop of the exchange."""

    def settle(self, request: Settle) -> None:
        """Take the changes and return at once; the store sees to it that they are applied."""


class QuickStore(Store, Protocol):
    """A store that never waits, and so is asked without a step."""

    answers_at_once: bool

    def take(self, key: str, need_us: int, capacity_us: int) -> int | None:
        """Return what is left of a bucket after `need_us` were taken; None if they were not.

        Does as `ask` for one `BucketClaim` that is granted, without a value for each.
        """

    def change(self, key: str, change_us: int) -> None:
        """Do as `settle` for one `BucketChange`."""
