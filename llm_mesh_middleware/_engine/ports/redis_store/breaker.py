"""A circuit breaker for a store: while it is away, one request a second tries it.

closed  --failure-->  open for a second  -->  one may try  --success-->  closed
                           ^                      |
                           +------- failure ------+
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

__all__ = ["Breaker"]

logger = logging.getLogger("llm_mesh_middleware")

WINDOW_S = 1.0


class Breaker:
    """The breaker of one process, for its threads and event loops."""

    def __init__(self, returned: Callable[[], None], name: str) -> None:
        """`returned` is called when the store is back; `name` is for the log."""
        self._returned = returned
        self._name = name
        self._lock = threading.Lock()
        self.is_open = False  # whether the last use of the store failed
        self._next_at = 0.0

    def allows(self) -> bool:
        """Return whether the store may be used now; while it is away, for one caller a second."""
        if not self.is_open:
            return True
        with self._lock:
            now = monotonic()
            if now < self._next_at:
                return False
            self._next_at = now + WINDOW_S
            return True

    def succeeded(self) -> None:
        """Note that the store has responded."""
        if self.is_open:
            with self._lock:
                was_open, self.is_open = self.is_open, False
            if was_open:
                logger.info("%s is back", self._name)
                self._returned()

    def failed(self, error: BaseException) -> None:
        """Note a failure of the store; only its type is logged, as its text may contain the URL."""
        with self._lock:
            was_open, self.is_open = self.is_open, True
            self._next_at = monotonic() + WINDOW_S
        if not was_open:
            logger.warning("%s cannot be used: %s", self._name, type(error).__name__)
