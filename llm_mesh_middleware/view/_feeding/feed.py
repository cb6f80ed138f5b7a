"""The feed: a snapshot, then a diff for each second, for any number of viewers.

Nothing runs by itself: the first viewer that asks in a second makes its diff, the others get the
same bytes. Without viewers there is nothing to do.

    since(None)              the snapshot as of the last diff
    since("<epoch>-<n>")     the diffs after the n-th, if they are still there; else the snapshot

Each process has its own epoch, so an id from before a restart gets a snapshot too.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from .._watching.record import choose
from ..values import Call, Diff, Snapshot

__all__ = ["Feed", "apply", "difference"]

# A viewer that lags behind for longer gets a snapshot again.
_MAX_DIFFS = 20
_MAX_NEW_CALLS = 100
_MAX_CALLS = 500
_MAX_SECONDS = 300
_TABLES = ("hosts", "rules", "edges", "providers", "policies", "servers", "mirrors")

Row = TypeVar("Row")


class Feed:
    """Makes the events of a stream; safe between threads."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        """`take` makes a snapshot; it is called at most once a second."""
        self._take = take
        self._lock = threading.Lock()
        self._epoch = secrets.token_hex(4)
        self._number = 0
        self._second = -1
        self._snapshot: Snapshot | None = None
        self._diffs: deque[bytes] = deque(maxlen=_MAX_DIFFS)

    def snapshot(self, second: int) -> Snapshot:
        """Return everything as of `second`."""
        with self._lock:
            return self._advanced(second)

    def since(self, position: str | None, second: int) -> tuple[str, bytes]:
        """Return the events that a viewer lacks, and its new position.

        Args:
            position: the id of the last event that it has; None for a new viewer.
            second: the time on the monotonic clock; one before the last is ignored.
        """
        with self._lock:
            snapshot = self._advanced(second)
            known = self._numbered(position)
            newest = f"{self._epoch}-{self._number}"
            missing = None if known is None else self._number - known
            if missing is not None and 0 <= missing <= len(self._diffs):
                events = list(self._diffs)[len(self._diffs) - missing :]
                return newest, b"".join(events)
            return newest, _event(newest, "snapshot", snapshot)

    def _advanced(self, second: int) -> Snapshot:
        if self._snapshot is not None and second <= self._second:
            return self._snapshot
        old, new = self._snapshot, self._take()
        self._snapshot, self._second = new, second
        if old is not None:
            self._number += 1
            name = f"{self._epoch}-{self._number}"
            self._diffs.append(_event(name, "diff", difference(old, new)))
        return new

    def _numbered(self, position: str | None) -> int | None:
        epoch, _, number = (position or "").partition("-")
        is_known = epoch == self._epoch and number.isascii() and number.isdigit()
        return int(number) if is_known and len(number) < 16 else None


def difference(old: Snapshot, new: Snapshot) -> Diff:
    """Return the changes that turn `old` into `new`."""
    changed: dict[str, dict[str, Any]] = {}
    gone = {}
    for table in _TABLES:
        before, after = getattr(old, table), getattr(new, table)
        changed[table] = _changed(before, after)
        if missing := [key for key in before if key not in after]:
            gone[table] = missing
    known = {call.id for call in old.calls}
    calls = [call for call in new.calls if call.id not in known]
    shown = choose(calls, _MAX_NEW_CALLS)
    return Diff(
        at=new.at,
        second=new.second,
        workers=new.workers,
        config=None if new.config == old.config else new.config,
        gone=gone,
        seconds=[row for row in new.seconds if row[0] >= old.second],
        calls=shown,
        skipped=new.skipped + len(calls) - len(shown),
        **changed,
    )


def apply(snapshot: Snapshot, diff: Diff) -> Snapshot:
    """Return the snapshot that a viewer sees after `diff`."""
    tables = {
        table: {
            key: row
            for key, row in {**getattr(snapshot, table), **getattr(diff, table)}.items()
            if key not in diff.gone.get(table, ())
        }
        for table in _TABLES
    }
    fresh = {row[0]: row for row in (*snapshot.seconds, *diff.seconds)}
    calls: list[Call] = [*snapshot.calls, *diff.calls]
    return replace(
        snapshot,
        at=diff.at,
        second=diff.second,
        workers=diff.workers,
        config=diff.config or snapshot.config,
        seconds=[fresh[second] for second in sorted(fresh)][-_MAX_SECONDS:],
        calls=calls[-_MAX_CALLS:],
        skipped=diff.skipped,
        **tables,
    )


def _changed(before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, Row]:
    if before is after:
        return {}
    return {key: row for key, row in after.items() if before.get(key) != row}


def _event(name: str, kind: str, value: Snapshot | Diff) -> bytes:
    # msgspec writes JSON on one line.
    data = msgspec.json.encode(value)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (name.encode(), kind.encode(), data)
