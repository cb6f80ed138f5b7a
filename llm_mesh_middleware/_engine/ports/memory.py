"""Limits in the memory of one process: exact under threads and tasks, and bounded.

A bucket that is full needs no entry. When there are too many entries, full buckets go first and
then those that are nearest to being full.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from time import monotonic_ns

from ..._core.limiting import bucket
from ..._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Claim,
    Outcome,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
)
from ..._process.forks import ForkLock, follow_forks
from .memory_budgets import MemoryBudgets

__all__ = ["SLOT_WAIT_US", "MemoryStore"]

_MAX_KEYS = 100_000
# When a slot will be free is unknown; the client gets this number.
SLOT_WAIT_US = 1_000_000


def _monotonic_us() -> int:
    return monotonic_ns() // 1000


class MemoryStore:
    """Buckets, slots and budgets by key."""

    answers_at_once = True  # it never waits, so a flow asks it without a step

    def __init_subclass__(cls) -> None:
        own = vars(cls)
        if own.keys() & {"ask", "aask", "settle"}:  # whatever these do, the driver has to call them
            cls.answers_at_once = False

    def __init__(
        self, *, clock_us: Callable[[], int] | None = None, max_keys: int = _MAX_KEYS
    ) -> None:
        """Begin with every bucket full.

        Args:
            clock_us: a monotonic clock, in microseconds; the machine's if it is None.
            max_keys: the most buckets, sets of slots, and budgets that are kept.
        """
        self._is_real = clock_us is None  # then it is read without a function in between
        self._clock_us = clock_us or _monotonic_us
        self._max_keys = max_keys
        self._lock = ForkLock()
        self._last_id = 0
        self._buckets: dict[str, int] = {}
        self._slots: dict[str, dict[str, int]] = {}
        self._budgets = MemoryBudgets(max_keys)
        follow_forks(self)

    def __len__(self) -> int:
        return len(self._buckets) + len(self._slots) + len(self._budgets)

    def ask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve."""
        with self._lock.of_process:
            return self._reserve(request.claims)

    def take(self, key: str, need_us: int, capacity_us: int) -> int | None:
        """Take from one bucket; return what is left, or None if there is not enough.

        The same as for a claim, in fewer steps and without values for them.
        """
        lock = self._lock.of_process
        lock.acquire()  # `with` takes twice as long
        try:
            now = monotonic_ns() // 1000 if self._is_real else self._clock_us()
            buckets = self._buckets
            full_at = buckets.get(key, 0)
            if full_at <= now:  # it is full
                buckets[key] = now + need_us
                if len(buckets) > self._max_keys:
                    self._make_room(now)
                return capacity_us - need_us
            remaining_us = capacity_us - full_at + now
            if remaining_us < need_us:  # also if the need is beyond the capacity
                return None
            buckets[key] = full_at + need_us
            return remaining_us - need_us
        finally:
            lock.release()

    def change(self, key: str, change_us: int) -> None:
        """Change one bucket."""
        lock = self._lock.of_process
        lock.acquire()
        try:
            now = monotonic_ns() // 1000 if self._is_real else self._clock_us()
            full_at = self._buckets.get(key, now)
            full_at = (full_at if full_at > now else now) + change_us
            if full_at > now:
                self._buckets[key] = full_at
                if change_us > 0 and len(self._buckets) > self._max_keys:
                    self._make_room(now)
            else:
                self._buckets.pop(key, None)
        finally:
            lock.release()

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        """Reserve, without waiting."""
        return self.ask(request, until)

    def settle(self, request: Settle) -> None:
        """Apply the changes."""
        with self._lock.of_process:
            now = self._clock_us()
            for change in request.changes:
                if isinstance(change, BucketChange):
                    self._change(change.key, change.change_us, now)
                elif isinstance(change, BudgetChange):
                    self._budgets.change(change, now)
                else:
                    self._release(change.key, change.slot)

    def remaining_us(self, key: str, capacity_us: int) -> int:
        """Return what is left in a bucket."""
        now = self._clock_us()
        return bucket.remaining_us(self._buckets.get(key, now), now, capacity_us)

    def taken(self, key: str) -> int:
        """Return the number of slots in use."""
        with self._lock.of_process:
            return len(self._live_slots(key, self._clock_us()))

    def spent(self, key: str) -> int:
        """Return the money spent in a window of a budget, in nano-units."""
        with self._lock.of_process:
            return self._budgets.spent(key)

    def reserved(self, key: str) -> int:
        """Return the money reserved in a window of a budget, in nano-units."""
        with self._lock.of_process:
            return self._budgets.held(key, self._clock_us())

    def drain(self) -> tuple[Change, ...]:
        """Empty the buckets and budgets; return their use as changes for another store."""
        with self._lock.of_process:
            now, buckets = self._clock_us(), self._buckets
            self._buckets = {}
            lacking = (
                BucketChange(key, full_at - now)
                for key, full_at in buckets.items()
                if full_at > now
            )
            return (*lacking, *self._budgets.drain(now))

    def _begin_process(self) -> None:
        """Start empty in a forked child: the parent settles what was reserved."""
        self._buckets, self._slots = {}, {}
        self._budgets.begin_process()

    def _reserve(self, claims: tuple[Claim, ...]) -> Reserved:
        now, is_granted, waits = self._clock_us(), True, []
        for claim in claims:
            found = self._wait_us(claim, now)
            if found[0] and not claim.is_shadow:
                is_granted = False
            waits.append(found)
        slot = ""
        if is_granted:
            self._last_id += 1
            slot = str(self._last_id)
        outcomes = []
        for claim, (wait, expired) in zip(claims, waits, strict=True):
            outcomes.append(self._taken(claim, wait, expired, now, slot))
        return Reserved(is_granted, tuple(outcomes), slot)

    def _wait_us(self, claim: Claim, now: int) -> tuple[int, int]:
        """Return the wait in microseconds, and the number of expired reservations."""
        if isinstance(claim, BucketClaim):
            full_at = self._buckets.get(claim.key, now)
            return bucket.admit(full_at, now, claim.need_us, claim.capacity_us), 0
        if isinstance(claim, BudgetClaim):
            return self._budgets.wait_us(claim, now)
        before = len(self._slots.get(claim.key, ()))
        taken = len(self._live_slots(claim.key, now))
        return 0 if taken < claim.slots else SLOT_WAIT_US, before - taken

    def _taken(self, claim: Claim, wait: int, expired: int, now: int, slot: str) -> Outcome:
        """Take the claim if it is granted; return its outcome."""
        if isinstance(claim, BucketClaim):
            key = claim.key
            full_at = self._buckets.get(key, now)
            if slot and not wait:
                full_at = (full_at if full_at > now else now) + claim.need_us
                self._put(key, full_at, now)
            return Outcome(wait, bucket.remaining_us(full_at, now, claim.capacity_us))
        if isinstance(claim, BudgetClaim):
            if slot:
                self._budgets.take(claim, now, slot)
            return Outcome(wait, *self._budgets.left(claim), expired)
        if slot and not wait:
            self._occupy(claim, slot, now)
        return Outcome(wait, claim.slots - len(self._slots.get(claim.key, ())), expired=expired)

    def _occupy(self, claim: SlotClaim, slot: str, now: int) -> None:
        slots = self._slots.get(claim.key)
        if slots is None:
            if len(self._slots) >= self._max_keys:
                self._slots.pop(next(iter(self._slots)))
            slots = self._slots[claim.key] = {}
        slots[slot] = now + claim.hold_us

    def _live_slots(self, key: str, now: int) -> dict[str, int]:
        slots = self._slots.get(key)
        if slots is None:
            return {}
        for slot in [slot for slot, until in slots.items() if until <= now]:
            self._release(key, slot)
        return slots

    def _release(self, key: str, slot: str) -> None:
        slots = self._slots.get(key)
        if slots is not None:
            slots.pop(slot, None)
            if not slots:
                del self._slots[key]

    def _change(self, key: str, change_us: int, now: int) -> None:
        full_at = bucket.settled(self._buckets.get(key, now), now, change_us)
        if full_at > now:
            self._put(key, full_at, now)
        else:
            self._buckets.pop(key, None)

    def _put(self, key: str, full_at: int, now: int) -> None:
        self._buckets[key] = full_at
        if len(self._buckets) > self._max_keys:
            self._make_room(now)

    def _make_room(self, now: int) -> None:
        kept = {key: full_at for key, full_at in self._buckets.items() if full_at > now}
        if len(kept) > self._max_keys // 2:
            for key in nsmallest(len(kept) - self._max_keys // 2, kept, key=kept.__getitem__):
                del kept[key]
        self._buckets = kept
