"""Cached responses in the memory of one process, with a limit in bytes; LRU entries go first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ..._core.caching.entry import Found, Lookup, Save
from ..._core.caching.lease import Claim
from ..._core.caching.store import Answer, Request
from ..._process.forks import ForkLock, follow_forks
from .similarity_index import SimilarityIndex

__all__ = ["MemoryCache"]

_MAX_BYTES = 64 * 2**20
# The bytes of an entry in addition to its key and its data.
_OVERHEAD = 400


class MemoryCache:
    """Entries by key, each with its expiry."""

    lessor = None  # no leases: no other process shares the entries
    answers_at_once = True  # a flow asks it without a step: it never waits

    def __init_subclass__(cls) -> None:
        own = vars(cls)
        if own.keys() & {"ask", "aask"}:  # whatever these do, the driver has to call them
            cls.answers_at_once = False

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_bytes: int = _MAX_BYTES
    ) -> None:
        """Begin empty.

        Args:
            clock: a monotonic clock, in seconds.
            max_bytes: the limit of all entries together.
        """
        self._clock = clock
        self._max_bytes = max_bytes
        self._lock = ForkLock()
        self._entries: OrderedDict[str, tuple[bytes, float, float]] = OrderedDict()
        self._similar = SimilarityIndex(clock)
        self.size = 0
        follow_forks(self)

    def __len__(self) -> int:
        return len(self._entries)

    def ask(self, request: Request, until: float | None) -> Answer:
        """Look up, save, find or remember."""
        if isinstance(request, Lookup):
            with self._lock.of_process:
                return self._look_up(request.key)
        if isinstance(request, Claim):
            return None
        if not isinstance(request, Save):
            return self._similar.ask(request)
        with self._lock.of_process:
            self._save(request)
        return None

    async def aask(self, request: Request, until: float | None) -> Answer:
        """Do as `ask`, without waiting."""
        return self.ask(request, until)

    def _look_up(self, key: str) -> Found | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        data, kept_at, ends_at = entry
        now = self._clock()
        if now >= ends_at:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return Found(data, now - kept_at)

    def _save(self, request: Save) -> None:
        self._drop(request.key)
        size = _size(request.key, request.data)
        if size > self._max_bytes:
            return
        now = self._clock()
        self._entries[request.key] = request.data, now, now + request.ttl_s
        self.size += size
        while self.size > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _size(key, entry[0])

    def _begin_process(self) -> None:
        """Keep the parent's entries in a forked child, as its own copy."""


def _size(key: str, data: bytes) -> int:
    return len(key) + len(data) + _OVERHEAD
