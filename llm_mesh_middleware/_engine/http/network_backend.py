"""An httpcore network backend whose waits are limited by the calling thread's `CancelScope`."""

from __future__ import annotations

import ssl
import threading
from typing import Any

from ..tasks.cancel_scope import CancelScope
from .protocols import MAX_JOINED_BYTES

__all__ = ["CancelScopeBackend", "use_scope"]

_calls = threading.local()


def use_scope(scope: CancelScope | None) -> None:
    """Limit the waits of the calling thread by `scope`, until this is called with None."""
    _calls.scope = scope


class CancelScopeBackend:
    """Wraps another backend."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Open a connection."""
        scope = _scope()
        if scope is None:
            return self._backend.connect_tcp(*args, timeout=timeout, **kwargs)
        scope.has_connected = True
        seconds = scope.remaining_s(connecting=True)
        return _Stream(self._backend.connect_tcp(*args, timeout=seconds, **kwargs))

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Open a connection to a local server."""
        return self._backend.connect_unix_socket(*args, **kwargs)

    def sleep(self, seconds: float) -> None:
        """Wait, as the pool's own retries would."""
        self._backend.sleep(seconds)


class _Stream:
    """A connection; it outlives the call that opened it and serves others."""

    __slots__ = ("_head", "_stream")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._head = b""
        scope = _scope()
        if scope is not None:
            scope.attach(stream.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._head:
            self._send(b"", timeout)
        scope = _scope()
        data: bytes = self._stream.read(max_bytes, scope.remaining_s() if scope else timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._head and buffer.endswith(b"\r\n\r\n"):  # the body comes next, or a read
            self._head = buffer
        else:
            self._send(buffer, timeout)

    def _send(self, buffer: bytes, timeout: float | None) -> None:
        head, self._head = self._head, b""
        scope = _scope()
        if scope is not None:
            # A kept connection belongs to the next call from its first write.
            scope.attach(self._stream.get_extra_info("socket"))
            timeout = scope.remaining_s()
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
        scope = _scope()
        if scope is not None:
            timeout = scope.remaining_s(connecting=True)
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        sock = stream.get_extra_info("socket")
        if isinstance(sock, ssl.SSLSocket):
            # Else a reset would pass for the end of a body that only the connection's end delimits.
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed
        return _Stream(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _scope() -> CancelScope | None:
    return getattr(_calls, "scope", None)
