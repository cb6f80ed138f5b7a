"""Settlements on their way to the store.

A settlement must not delay the client, and must be sent however the request ends: by a garbage
collector that closes a stream, with an event loop, or at a shutdown.

    taken    many of them, by an event loop whose connection is in use; it reports how that ended
    sent     the rest, by a thread, when they have waited and nobody has taken any meanwhile
    again    by the thread too: under the name that they had, as the store may have applied them
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from weakref import WeakMethod

from ...._core.limiting.claims import Change

__all__ = ["Outbox", "Taken"]

logger = logging.getLogger("llm_mesh_middleware")

_MAX_CHANGES = 100_000
_BATCH = 200
_MANY = 8
_LINGER_S = 0.005  # to send settlements in batches
_FLUSH_S = 1.0
_POLL_S = 0.002


class Taken:
    """Settlements that an event loop has taken, to send them under a name."""

    __slots__ = ("changes", "loop", "name")

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.changes: Sequence[Change] = ()


class Outbox:
    """A bounded queue; its thread begins with the first settlement and is a daemon."""

    def __init__(
        self,
        send: Callable[[Sequence[Change], str], bool],
        make_name: Callable[[], str],
        retry_s: float,
    ) -> None:
        """Begin with nothing.

        Args:
            send: applies changes under a name, which the store applies once; returns False if the
                store is away, and is then called again.
            make_name: makes those names.
            retry_s: the pause before it is called again.
        """
        self._send = send
        self._make_name = make_name
        self._retry_s = retry_s
        self._changes: deque[Change] = deque()
        self._again: deque[tuple[Sequence[Change], str]] = deque()
        self._taken: set[Taken] = set()
        self._takes = 0
        self._has_work = threading.Condition()
        self._is_idle = self._is_sending = self._is_urgent = self._has_warned = False
        self._thread: threading.Thread | None = None

    def put(self, changes: tuple[Change, ...]) -> None:
        """Queue changes; never waits for the store."""
        if not changes:
            return
        room = _MAX_CHANGES - len(self._changes)
        if room < len(changes):
            changes = changes[: max(room, 0)]
            self._warn()
        self._changes += changes
        # The thread looks for changes after it has said that it is idle, so none are missed.
        if self._is_idle or self._thread is None:
            self._call_thread()

    @property
    def has_many(self) -> bool:
        """Whether so many wait that an event loop should take them."""
        return len(self._changes) >= _MANY

    def take(self, loop: asyncio.AbstractEventLoop) -> Taken:
        """Return what waits, for a loop that reports with `applied` or `failed`."""
        taken = Taken(loop, self._make_name())
        self._taken.add(taken)  # before they leave the queue, so that `flush` sees them
        self._takes += 1
        taken.changes = self._next()
        return taken

    def applied(self, taken: Taken) -> None:
        """Note that the store has applied what was taken."""
        self._taken.discard(taken)

    def failed(self, taken: Taken) -> None:
        """Send again what was taken."""
        self._again.append((taken.changes, taken.name))
        self._taken.discard(taken)
        self._call_thread()

    def _next(self) -> Sequence[Change]:
        batch: list[Change] = []
        try:
            while len(batch) < _BATCH:
                batch.append(self._changes.popleft())
        except IndexError:  # there are no more; a loop and the thread may take at once
            pass
        return batch

    def _call_thread(self) -> None:
        with self._has_work:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="llm-mesh-outbox")
                self._thread.daemon = True
                self._thread.start()
                at_exit = WeakMethod(self.flush)
                atexit.register(lambda: (flush := at_exit()) and flush())
            self._is_idle = False  # what comes next need not call it again
            self._has_work.notify()

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("settlements are dropped: %d wait for the store", _MAX_CHANGES)

    def wake(self) -> None:
        """Try again at once: the store is back."""
        with self._has_work:
            self._is_urgent = True
            self._has_work.notify()

    def flush(self, within_s: float = _FLUSH_S) -> None:
        """Wait until everything is settled, at most `within_s`."""
        until = monotonic() + within_s
        while self._is_busy() and monotonic() < until:
            self.wake()
            sleep(_POLL_S)

    def _is_busy(self) -> bool:
        for taken in self._taken.copy():
            if taken.loop.is_closed():  # it will not report any more
                self.failed(taken)
        return bool(self._changes or self._again or self._taken or self._is_sending)

    def _run(self) -> None:
        while True:
            with self._has_work:
                self._is_idle = True
                while not self._changes and not self._again:
                    self._has_work.wait()
                    self._is_idle = True
                self._is_idle = False
            takes = -1
            while takes != self._takes and not self._again:  # loops take them, then
                takes = self._takes
                sleep(_LINGER_S)
            self._is_sending = True
            if self._again:
                batch, name = self._again.popleft()
            else:
                batch, name = self._next(), self._make_name()
            while batch and not self._is_sent(batch, name):
                with self._has_work:
                    if not self._is_urgent:
                        self._has_work.wait(self._retry_s)
                    self._is_urgent = False
            self._is_sending = False

    def _is_sent(self, batch: Sequence[Change], name: str) -> bool:
        try:
            return self._send(batch, name)
        except Exception:  # such as a script error; a retry would not help
            logger.exception("settlements were lost")
            return True
