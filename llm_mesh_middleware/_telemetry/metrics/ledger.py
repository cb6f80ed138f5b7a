"""Calls that are alike, kept until they are added up together.

A histogram takes sixty steps of the interpreter for a value, and some of them for many values at
once. So where nobody needs a value at once, as an exemplar would, a call is one entry in a list.

    add       the entry comes first; then its account is put in line, unless it stands there
    settle    an account leaves the line; then its entries are taken

Hence an entry is either taken or in an account that is in line, whatever threads do in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..._process.forks import ForkLock
from .labels import CallLabels
from .rows import CallRow

__all__ = ["Account", "Ledger"]

_MOST_ROWS = 256


class Account:
    """The calls with the same attributes that have not been added up."""

    __slots__ = ("is_in_line", "labels", "rows")

    def __init__(self, labels: CallLabels) -> None:
        self.labels = labels
        self.rows: list[CallRow] = []
        self.is_in_line = False


class Ledger:
    """The accounts of one set of instruments."""

    def __init__(self, add_up: Callable[[CallLabels, list[CallRow]], None]) -> None:
        """`add_up` takes calls with the same attributes; it is called by one thread at a time."""
        self._add_up = add_up
        self._line: deque[Account] = deque()
        self._lock = ForkLock()

    def add(self, account: Account, row: CallRow) -> None:
        """Keep a call."""
        rows = account.rows
        rows.append(row)
        if not account.is_in_line:
            account.is_in_line = True
            self._line.append(account)
        if len(rows) >= _MOST_ROWS:
            self.settle()

    def settle(self) -> None:
        """Add up all that is kept."""
        with self._lock.of_process:
            for _ in range(len(self._line)):
                account = self._line.popleft()
                account.is_in_line = False
                count = len(account.rows)
                taken = account.rows[:count]
                del account.rows[:count]
                if taken:
                    self._add_up(account.labels, taken)
