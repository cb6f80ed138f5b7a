"""Budgets in the memory of one process: the money spent and reserved in each window.

A reservation expires, so a call that is never settled blocks no money.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._core.limiting.claims import BudgetChange, BudgetClaim

__all__ = ["BUDGET_WAIT_US", "MemoryBudgets"]

# Any wait refuses; the policy computes the real one from the end of the window.
BUDGET_WAIT_US = 1


class _Account:
    """The money of one window of one budget."""

    __slots__ = ("ends_at", "held", "reservations", "spent")

    def __init__(self, ends_at: int) -> None:
        self.ends_at = ends_at
        self.spent = self.held = 0
        self.reservations: dict[str, tuple[int, int]] = {}  # slot: until when, how much

    def release(self, slot: str) -> None:
        _, amount = self.reservations.pop(slot, (0, 0))
        self.held -= amount

    def expire(self, now: int) -> int:
        ended = [slot for slot, (until, _) in self.reservations.items() if until <= now]
        for slot in ended:
            self.release(slot)
        return len(ended)


class MemoryBudgets:
    """Accounts by key; its owner has the lock and the clock."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._accounts: dict[str, _Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def wait_us(self, claim: BudgetClaim, now: int) -> tuple[int, int]:
        """Return 0 if the budget has room for the claim, and the number of expired reservations."""
        account = self._accounts.get(claim.key)
        if account is None:
            return 0 if claim.need <= claim.amount else BUDGET_WAIT_US, 0
        expired = account.expire(now)
        room = claim.amount - account.spent - account.held
        return 0 if claim.need <= room else BUDGET_WAIT_US, expired

    def take(self, claim: BudgetClaim, now: int, slot: str) -> None:
        """Reserve the claim under the name `slot`."""
        account = self._open(claim.key, now, claim.keep_us)
        account.reservations[slot] = now + claim.hold_us, claim.need
        account.held += claim.need

    def left(self, claim: BudgetClaim) -> tuple[int, int]:
        """Return the money left (neither spent nor reserved), and the money spent."""
        account = self._accounts.get(claim.key)
        if account is None:
            return claim.amount, 0
        return claim.amount - account.spent - account.held, account.spent

    def change(self, change: BudgetChange, now: int) -> None:
        """Settle a reservation; money that was spent counts even if it was not reserved."""
        account = self._open(change.key, now, change.keep_us)
        account.release(change.slot)
        account.spent += change.spent

    def spent(self, key: str) -> int:
        """Return the money spent."""
        account = self._accounts.get(key)
        return 0 if account is None else account.spent

    def held(self, key: str, now: int) -> int:
        """Return the money reserved."""
        account = self._accounts.get(key)
        if account is None:
            return 0
        account.expire(now)
        return account.held

    def drain(self, now: int) -> Iterator[BudgetChange]:
        """Forget all accounts; yield the money spent as changes."""
        accounts, self._accounts = self._accounts, {}
        for key, account in accounts.items():
            if account.spent:
                yield BudgetChange(key, "", 0, account.spent, max(1, account.ends_at - now))

    def begin_process(self) -> None:
        """Keep the money spent in a forked child; the parent settles the reservations."""
        for account in self._accounts.values():
            account.reservations, account.held = {}, 0

    def _open(self, key: str, now: int, keep_us: int) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= self._max_keys:
                self._drop(now)
            account = self._accounts[key] = _Account(now + keep_us)
        return account

    def _drop(self, now: int) -> None:
        """Drop the windows that have ended; if too many are left, those with the least use."""
        kept = {key: each for key, each in self._accounts.items() if each.ends_at > now}
        if len(kept) > self._max_keys // 2:
            by_spent = sorted(kept, key=lambda key: kept[key].spent + kept[key].held)
            for key in by_spent[: len(kept) - self._max_keys // 2]:
                del kept[key]
        self._accounts = kept
