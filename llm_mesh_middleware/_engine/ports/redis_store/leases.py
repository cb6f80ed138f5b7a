"""Leases on a server, renewed by a thread while their holders live.

{PREFIX:cache:KEY}:lease   the holder, or `free` if none is needed; expires

The braces make a cluster keep a lease on the node of its entry. The leases of a process that is
killed are not renewed, so they expire within five seconds. The thread starts with the first lease,
and ends with the last.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import Any

from ...._core.caching.lease import Lease
from .connecting import FAILURES, Address

__all__ = ["FREE", "LEASE_MS", "Leases"]

LEASE_MS = 5000
FREE = b"free"  # shorter than any holder
_FREE_MS = 1000
_EACH_S = LEASE_MS / 4000
_FLUSH_S = 1.0

# Only the holder may change a lease, which may have expired and have another holder now.
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
_RETURN = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
_GIVE_UP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""


class Leases:
    """The leases that this process holds."""

    def __init__(self, address: Address, prefix: str) -> None:
        """Start without leases."""
        self._address = address
        self._prefix = prefix
        self._change = threading.Condition()
        self._held: dict[bytes, str] = {}
        self._returned: deque[tuple[Lease, bool]] = deque()
        self._thread: threading.Thread | None = None
        self._is_closing = False

    @property
    def is_at_work(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None

    def name_of(self, key: str) -> str:
        """Return the name of a lease on the server."""
        return f"{{{self._prefix}{key}}}:lease"

    def hold(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        with self._change:
            self._held[lease.holder] = lease.key
            if self._thread is None:
                self._is_closing = False
                self._thread = threading.Thread(target=self._run, name="llm-mesh-leases")
                self._thread.daemon = True
                self._thread.start()

    def release(self, lease: Lease, *, is_given_up: bool) -> None:
        """Return a lease; the thread does so on the server."""
        with self._change:
            if self._held.pop(lease.holder, None) is not None:
                self._returned.append((lease, is_given_up))
                self._change.notify()

    def close(self) -> None:
        """Wait until released leases are returned, at most a second."""
        with self._change:
            thread, self._is_closing = self._thread, True
            self._change.notify()
        if thread is not None:
            thread.join(_FLUSH_S)

    def _run(self) -> None:
        client = None
        next_at = monotonic() + _EACH_S
        while (work := self._next(next_at)) is not None:
            returned, held = work
            if not returned:
                next_at = monotonic() + _EACH_S
            try:
                client = client or self._address.client()
                for lease, is_given_up in returned:
                    self._take_back(client, lease, is_given_up)
                for holder, key in held:
                    client.eval(_RENEW, 1, self.name_of(key), holder, LEASE_MS)
            except FAILURES:
                continue  # the leases expire
        if client is not None:
            client.close()

    def _next(
        self, next_at: float
    ) -> tuple[list[tuple[Lease, bool]], list[tuple[bytes, str]]] | None:
        """Return the leases to give back, and those to renew; None if there are none left."""
        with self._change:
            while not self._returned:
                left = next_at - monotonic()
                if self._is_closing or (left <= 0 and not self._held):
                    self._thread = None
                    return None
                if left <= 0:
                    return [], list(self._held.items())
                self._change.wait(left)
            returned = list(self._returned)
            self._returned.clear()
            return returned, []

    def _take_back(self, client: Any, lease: Lease, is_given_up: bool) -> None:
        name = self.name_of(lease.key)
        if is_given_up:
            client.eval(_GIVE_UP, 1, name, lease.holder, FREE, _FREE_MS)
        else:
            client.eval(_RETURN, 1, name, lease.holder)
