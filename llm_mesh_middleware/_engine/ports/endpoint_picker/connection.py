"""A connection to a picker that threads share.

Everything happens under one lock, except the wait for bytes. Of the threads that wait for a
message, one waits on the socket, and wakes the others when bytes have arrived.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterable

from .streams import Streams

__all__ = ["Connection"]

_RECEIVE_BYTES = 65_536
# Reports are not worth a longer wait: they must fit into the socket's buffers.
_REPORT_S = 0.1


class Connection:
    """Streams of messages over a socket."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, name: str, until: float
    ) -> None:
        """Connect.

        Args:
            host: the address.
            port: its port.
            context: for TLS; None for plain text.
                name: the server's name, in its certificate.
                until: when to give up, on the monotonic clock.

            Raises:
                OSError: the connection cannot be made.
        """
        plain = socket.create_connection((host, port), _left(until))
        self._socket = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                plain.settimeout(_left(until))
                self._socket = context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise
        authority = name if context is not None else f"{host}:{port}"
        self._streams = Streams(authority, is_encrypted=context is not None)
        self._lock = threading.Condition()
        self._is_awaited = False

    def begin(self, path: str, messages: Iterable[bytes], until: float) -> int:
        """Begin a stream with messages, and return its number.

        Raises:
            OSError: the connection is over.
        """
        with self._lock:
            self._receive()  # the server may have closed the connection since
            number = self._streams.begin(path)
            self._streams.send(number, messages)
            self._flush(until)
            return number

    def read(self, number: int, until: float) -> bytes:
        """Wait for the next message of a stream.

        Raises:
            OSError: there is none, or not in time.
            ValueError: it is not a message.
        """
        with self._lock:
            while (message := self._streams.take(number)) is None:
                if time.monotonic() >= until:
                    raise TimeoutError
                if self._is_awaited:
                    self._lock.wait(_left(until))
                    continue
                self._is_awaited = True
                self._lock.release()
                try:
                    self._wait(until)
                finally:
                    self._lock.acquire()
                    self._is_awaited = False
                    self._lock.notify_all()
                self._receive()
                self._flush(until)
            return message

    def send(self, number: int, messages: Iterable[bytes]) -> None:
        """Send messages of a stream; a failure is ignored."""
        with self._lock:
            self._streams.send(number, messages)
            self._say()

    def finish(self, number: int) -> None:
        """End a stream; a failure is ignored."""
        with self._lock:
            self._streams.finish(number)
            self._say()

    def close(self) -> None:
        """Close the connection; calls that wait end with an error."""
        with self._lock:
            self._streams.is_over = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            self._socket.close()
            self._lock.notify_all()

    def forget(self) -> None:
        """Close the socket in a forked child, without a TLS shutdown."""
        os.close(self._socket.detach())

    def _say(self) -> None:
        try:
            self._flush(time.monotonic() + _REPORT_S)
        except OSError:
            self._streams.is_over = True

    def _wait(self, until: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.select(_left(until))

    def _receive(self) -> None:
        """Take the received bytes; a TLS session may buffer more than its socket shows."""
        self._socket.setblocking(False)
        while not self._streams.is_over:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                data = b""
            self._streams.receive(data)

    def _flush(self, until: float) -> None:
        data = self._streams.outgoing()
        if data:
            self._socket.settimeout(_left(until))
            self._socket.sendall(data)


def _left(until: float) -> float:
    return max(0.001, until - time.monotonic())
