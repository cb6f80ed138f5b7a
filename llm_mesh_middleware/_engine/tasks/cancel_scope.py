"""Deadlines and cancellation of blocking calls.

A blocking read gets its timeout deep in the HTTP code, and another thread can end it only by
shutting down its socket. So the exchange, its calls and its connections share one `CancelScope`:

    the driver      sets the deadline of each step, and checks for a cancellation after it
    a connection    attaches its socket, and asks how long the next wait may take
    another thread  cancels: the flag is set first, then the attached socket is shut down;
                    a socket that is attached later finds the flag
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ...exceptions import ClientDisconnected

__all__ = ["CancelScope"]

# Not zero, which would mean a non-blocking socket: bytes that have arrived are still read.
_LEAST_S = 0.0001


class _Socket(Protocol):
    def shutdown(self, how: int, /) -> None: ...


class CancelScope:
    """The deadlines of one exchange."""

    __slots__ = (
        "_children",
        "_connect_until",
        "_socket",
        "_until",
        "_wake",
        "is_cancelled",
    )

    def __init__(self) -> None:
        self._children: tuple[CancelScope, ...] = ()
        self._wake: Callable[[], None] | None = None
        self._connect_until = self._until = float("inf")
        self._socket: _Socket | None = None
        self.is_cancelled = False

    def set_deadline(self, until: float, connect_s: float | None = None) -> None:
        """Limit the waits that follow: all of them to `until` on the monotonic clock, connecting
        to `connect_s` seconds from now too."""
        self._until = self._connect_until = until
        if connect_s is not None:
            self._connect_until = min(until, time.monotonic() + connect_s)

    def remaining_s(self, *, connecting: bool = False) -> float:
        """Return how long the next wait may take."""
        until = self._connect_until if connecting else self._until
        return max(until - time.monotonic(), _LEAST_S)

    def attach(self, sock: _Socket) -> None:
        """Let a cancellation shut down `sock` instead of an earlier socket."""
        self._socket = sock
        if self.is_cancelled:
            self.cancel()

    def child(self) -> CancelScope:
        """Create a scope for a call in another thread, cancelled together with this one."""
        child = CancelScope()
        self.adopt(child)
        return child

    def adopt(self, child: CancelScope) -> None:
        """Cancel `child`, too, when this one is cancelled."""
        self._children += (child,)
        if self.is_cancelled:
            child.cancel()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait until `event` is set, `seconds` have passed or the scope is cancelled."""
        self._wake = event.set
        if not self.is_cancelled:
            event.wait(seconds)
        self._wake = None

    def check(self) -> None:
        """Raise `ClientDisconnected` if the scope is cancelled.

        If it is cancelled, a failed call is not the provider's failure.
        """
        if self.is_cancelled:
            raise ClientDisconnected("the client went away")

    def cancel(self) -> None:
        """End the current wait of the exchange, and every later one; from any thread."""
        self.is_cancelled = True
        for child in self._children:
            child.cancel()
        if (wake := self._wake) is not None:
            wake()
        if (sock := self._socket) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
