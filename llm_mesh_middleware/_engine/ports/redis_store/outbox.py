"""Settlements on their way to the store, sent by a separate thread.

A settlement must not delay the client, and must be sent however the request ends: by a garbage
collector that closes a stream, with an event loop, or at a shutdown.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from weakref import WeakMethod

from ...._core.limiting.claims import Change

__all__ = ["Outbox"]

logger = logging.getLogger("llm_mesh_middleware")

_MAX_CHANGES = 100_000
_BATCH = 200
_LINGER_S = 0.005  # to send settlements in batches
_FLUSH_S = 1.0
_POLL_S = 0.002


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
        self._changes.extend(changes)
        # The thread looks for changes after it has said that it is idle, so none are missed.
        if self._is_idle or self._thread is None:
            self._call_thread()

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
        while (self._changes or self._is_sending) and monotonic() < until:
            self.wake()
            sleep(_POLL_S)

    def _run(self) -> None:
        while True:
            with self._has_work:
                self._is_idle = True
                while not self._changes:
                    self._has_work.wait()
                    self._is_idle = True
                self._is_idle = False
            sleep(_LINGER_S)
            self._is_sending = True
            batch = [self._changes.popleft() for _ in range(min(_BATCH, len(self._changes)))]
            name = self._make_name()
            while not self._is_sent(batch, name):
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
