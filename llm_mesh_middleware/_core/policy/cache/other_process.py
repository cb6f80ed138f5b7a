"""Waits for another process that makes the same call."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ...caching.entry import Found
from ...caching.lease import Claim, Claimed, Lease
from ...caching.store import CacheStore
from ...flow.call import Call
from ...values.steps import Ask, Sleep, Step

__all__ = ["OtherProcess"]

_Kept = TypeVar("_Kept")

# The first pauses are short, because the other call may be about to end.
_PAUSES_S = (0.02, 0.05, 0.1)
_PAUSE_S = 0.2


class OtherProcess:
    """The wait for one request's key, and its lease if this process has it."""

    def __init__(self, call: Call, store: CacheStore, key: str) -> None:
        self._call = call
        self._store = store
        self._key = key
        self._lease: Lease | None = None

    def wait(
        self,
        read: Callable[[Found], _Kept | None],
        waits: Callable[[], None],
        *,
        patience_s: float,
    ) -> Generator[Step, Any, _Kept | None]:
        """Return what another process has stored, or None to make the call here.

        Args:
            read: returns an entry if it can be used.
            waits: called if there is another process to wait for.
            patience_s: the longest wait; then the call is made here.

        Raises:
            UpstreamTimeout: the time of the request is up.
        """
        call, pauses = self._call, iter(_PAUSES_S)
        until, has_waited = call.clock() + patience_s, False
        while True:
            claimed = yield Ask(self._store, Claim(self._key))
            if not isinstance(claimed, Claimed):
                return None  # while the store is away, no lease is known
            self._lease = claimed.lease
            kept = None if claimed.found is None else read(claimed.found)
            now = call.clock()
            if kept is not None or claimed.lease is not None or claimed.is_free or now >= until:
                return kept
            if now >= call.deadline.at:
                raise call.deadline.error()
            if not has_waited:
                has_waited = True
                waits()
            yield Sleep(min(next(pauses, _PAUSE_S), call.deadline.at - now))

    def release(self, *, is_given_up: bool) -> None:
        """Return the lease: the response is stored by now, or never will be.

        Args:
            is_given_up: the response cannot be stored, so other processes must not wait either.
        """
        lease, self._lease = self._lease, None
        if lease is not None and self._store.lessor is not None:
            self._store.lessor.release(lease, is_given_up=is_given_up)
