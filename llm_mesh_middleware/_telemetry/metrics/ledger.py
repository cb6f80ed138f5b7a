"""Batches calls with the same attributes, so that their metrics are added up together.

A histogram of ours takes sixty steps of the interpreter for a value, many of which a batch takes
once; one of the SDK takes a thousand. So a call is one row in a list.

    add       the row is appended first; then its account is queued, unless it is already
    settle    an account is dequeued first; then its rows are taken

Hence a row is either taken or in a queued account, whatever other threads do in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..._process.forks import ForkLock
from .labels import CallLabels
from .rows import CallRow

__all__ = ["Account", "Ledger"]


class Account:
    """The calls with the same attributes that have not been added up."""

    __slots__ = ("is_queued", "labels", "rows")

    def __init__(self, labels: CallLabels) -> None:
        self.labels = labels
        self.rows: list[CallRow] = []
        self.is_queued = False


class Ledger:
    """The accounts of one set of instruments."""

    def __init__(self, add_up: Callable[[CallLabels, list[CallRow]], None], most_rows: int) -> None:
        """`add_up` takes calls with the same attributes; it is called by one thread at a time.

        It is called at the latest for `most_rows` of them.
        """
        self._add_up = add_up
        self._most_rows = most_rows
        self._queue: deque[Account] = deque()
        self._lock = ForkLock()

    def add(self, account: Account, row: CallRow) -> None:
        """Add a call."""
        rows = account.rows
        rows.append(row)
        if not account.is_queued:
            account.is_queued = True
            self._queue.append(account)
        if len(rows) >= self._most_rows:
            self.settle()

    def settle(self) -> None:
        """Add up all calls so far.

        Raises:
            Exception: what `add_up` has raised last; other calls have been added up nevertheless.
        """
        failure: Exception | None = None
        with self._lock.of_process:
            for _ in range(len(self._queue)):
                account = self._queue.popleft()
                account.is_queued = False
                count = len(account.rows)
                taken = account.rows[:count]
                del account.rows[:count]
                try:
                    if taken:
                        self._add_up(account.labels, taken)
                except Exception as exc:  # an application's SDK
                    failure = exc
        if failure is not None:
            raise failure
