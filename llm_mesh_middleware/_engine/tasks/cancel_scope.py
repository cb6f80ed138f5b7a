"""The network side of one synchronous call: until when it may wait, and how it is broken off.

A blocking read can be limited in time only where it is made, which is deep in the HTTP library, and
can be ended by another thread only through its socket. So whatever waits asks the call's `Line`
before: the mesh's own connections (`wire`), and for httpx's transports a network backend around
httpcore's own, which finds the line in the thread that makes the call.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from ...exceptions import ClientDisconnected

__all__ = ["MAX_JOINED_BYTES", "Line", "LineBackend"]

# Zero would mean a non-blocking socket: what has already arrived is still read.
_LEAST_S = 0.0001

# A body up to this size leaves with the head before it: one packet, one call of the system.
MAX_JOINED_BYTES = 64 * 1024

_calls = threading.local()


class Line:
    """One exchange's limits. `is_fresh` says whether a connection was opened for its last call."""

    __slots__ = (
        "_branches",
        "_connect_until",
        "_is_cut",
        "_stream",
        "_until",
        "_wake",
        "is_fresh",
    )

    def __init__(self) -> None:
        self.is_fresh = False
        self._branches: tuple[Line, ...] = ()
        self._wake: Callable[[], None] | None = None
        self._connect_until = self._until = float("inf")
        self._stream: Any = None  # a network stream of httpcore's
        self._is_cut = False

    def hold(self, until: float, connect_s: float | None = None) -> None:
        """The calling thread waits on this line, until the monotonic clock shows `until`.

        It must let go of it on every path.
        """
        self._until = self._connect_until = until
        if connect_s is not None:
            self._connect_until = min(until, time.monotonic() + connect_s)
        _calls.line = self

    def let_go(self) -> None:
        """The calling thread waits on no line."""
        _calls.line = None

    def branch(self) -> Line:
        """A line for another thread's call, cut together with this one."""
        branch = Line()
        self._branches += (branch,)
        if self._is_cut:
            branch.cut()
        return branch

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for `event`, for so long at most, or until the line is cut."""
        self._wake = event.set
        if not self._is_cut:
            event.wait(seconds)
        self._wake = None

    def check(self) -> None:
        """Raise `ClientDisconnected` if the line was cut: what fails then is not the provider's."""
        if self._is_cut:
            raise ClientDisconnected("the client went away")

    def cut(self) -> None:
        """End whatever the exchange is waiting for, and all that it would do; from any thread."""
        self._is_cut = True
        for branch in self._branches:
            branch.cut()
        if (wake := self._wake) is not None:
            wake()
        stream = self._stream
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def uses(self, stream: Any) -> None:
        """The call is on `stream` from now on."""
        self._stream = stream
        if self._is_cut:
            self.cut()

    def left_s(self, *, connecting: bool = False) -> float:
        """How long the next wait may take."""
        until = self._connect_until if connecting else self._until
        return max(until - time.monotonic(), _LEAST_S)


class LineBackend:
    """A network backend of httpcore's whose waits are limited by the calling thread's line."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Open a connection."""
        line = _line()
        if line is None:
            return self._backend.connect_tcp(*args, timeout=timeout, **kwargs)
        line.is_fresh = True
        seconds = line.left_s(connecting=True)
        return _LineStream(self._backend.connect_tcp(*args, timeout=seconds, **kwargs))

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Open a connection to a local server."""
        return self._backend.connect_unix_socket(*args, **kwargs)

    def sleep(self, seconds: float) -> None:
        """Wait, as the pool's own retries would."""
        self._backend.sleep(seconds)


class _LineStream:
    """A connection; it outlives the call that opened it and serves others."""

    __slots__ = ("_head", "_stream")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._head = b""
        line = _line()
        if line is not None:
            line.uses(stream)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._head:
            self._send(b"", timeout)
        line = _line()
        data: bytes = self._stream.read(max_bytes, line.left_s() if line else timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._head and buffer.endswith(b"\r\n\r\n"):  # the body comes next, or a read
            self._head = buffer
        else:
            self._send(buffer, timeout)

    def _send(self, buffer: bytes, timeout: float | None) -> None:
        head, self._head = self._head, b""
        line = _line()
        if line is not None:
            line.uses(self._stream)  # a kept connection is the next call's with its first write
            timeout = line.left_s()
        if len(buffer) <= MAX_JOINED_BYTES:
            self._stream.write(head + buffer, timeout)
        else:
            self._stream.write(head, timeout)
            self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        line = _line()
        if line is not None:
            timeout = line.left_s(connecting=True)
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        sock = stream.get_extra_info("socket")
        if isinstance(sock, ssl.SSLSocket):
            # Else a reset would pass for the end of a body that only the connection's end delimits.
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed
        return _LineStream(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _line() -> Line | None:
    return getattr(_calls, "line", None)
