"""A blocking connection, and its destination.

Each step gets its timeout from the `CancelScope` of the call, which can also cancel it:

    connect   TCP to the provider or its proxy        until the connect deadline
    tunnel    CONNECT, if the proxy carries TLS       until the connect deadline
    TLS       with the provider's name                until the connect deadline
    send      the request                             until the deadline of the step
    receive   the response, in any number of reads    until the deadline of each step

httpcore opens and closes the socket; after that it is used directly.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

import httpcore

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from ..tasks.cancel_scope import CancelScope
from ..tls import tls_reason
from .http1 import NotHTTP, ResponseReader
from .pool import Pool, probe_of
from .protocols import MAX_JOINED_BYTES, causes, request_head
from .proxy import UNKNOWN_NAME, UNREACHABLE, Proxy, refusal

__all__ = ["Connection", "Destination", "ProxyRefused", "TLSFailed"]

_BACKEND = httpcore.SyncBackend()
_READ_BYTES = 64 * 1024


class ProxyRefused(Exception):
    """There is no connection to a proxy, or no tunnel through it; the message has the reason."""


class TLSFailed(Exception):
    """TLS could not begin; the message has the reason."""


class Destination:
    """An endpoint, its connection settings, and the idle connections to it."""

    __slots__ = ("context", "endpoint", "pool", "proxy", "proxy_context")

    def __init__(
        self,
        endpoint: Endpoint,
        context: ssl.SSLContext | None,
        proxy: Proxy | None,
        proxy_context: ssl.SSLContext | None,
    ) -> None:
        self.endpoint = endpoint
        self.context = context
        self.proxy = proxy
        self.proxy_context = proxy_context
        self.pool: Pool[Connection] = Pool()

    def head(self, request: UpstreamRequest) -> bytes:
        """Return the head of `request` on the wire.

        Raises:
            RequestNotSent: a field is not valid in HTTP/1.1.
        """
        if self.proxy is not None and self.context is None:
            return self.proxy.forwarded_head(request)
        return request_head(request, request.target, request.headers)


class Connection:
    """A connection to one destination; later calls can reuse it."""

    __slots__ = ("_is_nested", "_has_news", "_socket", "_stream")

    def __init__(self, destination: Destination, scope: CancelScope) -> None:
        """Connect.

        Raises:
            httpcore.ConnectError: the connection is refused.
            TLSFailed: the certificate is invalid, or there was no handshake.
            httpcore.ConnectTimeout: it took longer than the connect deadline.
            ProxyRefused: the proxy cannot be reached, or opened no tunnel.
        """
        endpoint, proxy, context = destination.endpoint, destination.proxy, destination.context
        seconds = scope.remaining_s(connecting=True)
        if proxy is None:
            stream = _BACKEND.connect_tcp(endpoint.address, endpoint.port, timeout=seconds)
        else:
            stream = _reach(proxy, seconds)
        try:
            scope.attach(stream.get_extra_info("socket"))
            if proxy is not None and destination.proxy_context is not None:
                stream = _start_tls(stream, destination.proxy_context, proxy.host, scope)
            if proxy is not None and context is not None:
                _open_tunnel(stream, proxy.tunnel_head(endpoint), scope)
            if context is not None:
                name = endpoint.server_name or endpoint.address
                stream = _start_tls(stream, context, name, scope)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        self._is_nested = context is not None and destination.proxy_context is not None
        sock = stream.get_extra_info("socket")
        self._socket: Any = _NestedSocket(stream) if self._is_nested else sock
        self._has_news = probe_of(sock)
        if isinstance(sock, ssl.SSLSocket):
            # Otherwise a reset would look like the end of a body without a length.
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed

    def send(self, head: bytes, body: bytes, scope: CancelScope) -> bool:
        """Send a request; return whether all of it could be sent.

        A server that closes early may have sent a response first, so a failure is not yet an error.

        Raises:
            TimeoutError: it took too long.
        """
        scope.attach(self._socket)  # from now on it belongs to this call
        try:
            if len(body) <= MAX_JOINED_BYTES:
                self._send(head + body, scope)
            else:
                self._send(head, scope)
                self._send(body, scope)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def receive(self, scope: CancelScope) -> bytes:
        """Return the received bytes; empty at the end.

        Raises:
            httpcore.ReadError: the connection is broken.
            TimeoutError: none came in time.
        """
        self._socket.settimeout(scope.remaining_s())
        try:
            data: bytes = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            raise
        except OSError as exc:
            raise httpcore.ReadError(exc) from exc
        return data

    def is_stale(self) -> bool:
        """Return whether it was closed while idle, or has unexpected bytes."""
        if self._is_nested:  # bytes inside two TLS sessions cannot be detected
            return True
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(self._has_news(0))

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):
            self._stream.close()

    def _send(self, data: bytes, scope: CancelScope) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(scope.remaining_s())
            view = view[self._socket.send(view) :]


class _NestedSocket:
    """The socket of a TLS session inside another one, which httpcore runs."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._timeout_s: float | None = None

    def settimeout(self, seconds: float) -> None:
        self._timeout_s = seconds

    def recv(self, size: int) -> bytes:
        try:
            return self._stream.read(size, self._timeout_s)
        except httpcore.ReadTimeout as exc:
            raise TimeoutError from exc
        except httpcore.ReadError as exc:
            raise ConnectionResetError from exc

    def send(self, data: memoryview) -> int:
        try:
            self._stream.write(bytes(data), self._timeout_s)
        except httpcore.WriteTimeout as exc:
            raise TimeoutError from exc
        except httpcore.WriteError as exc:
            raise ConnectionResetError from exc
        return len(data)

    def shutdown(self, how: int) -> None:
        self._stream.get_extra_info("socket").shutdown(how)


def _reach(proxy: Proxy, seconds: float) -> httpcore.NetworkStream:
    try:
        return _BACKEND.connect_tcp(proxy.host, proxy.port, timeout=seconds)
    except httpcore.ConnectError as exc:
        is_unknown = any(isinstance(cause, socket.gaierror) for cause in causes(exc))
        raise ProxyRefused(UNKNOWN_NAME if is_unknown else UNREACHABLE) from exc


def _start_tls(
    stream: httpcore.NetworkStream, context: ssl.SSLContext, name: str, scope: CancelScope
) -> httpcore.NetworkStream:
    try:
        stream = stream.start_tls(context, name, scope.remaining_s(connecting=True))
    except httpcore.ConnectError as exc:
        raise TLSFailed(tls_reason(exc.__cause__)) from exc
    scope.attach(stream.get_extra_info("socket"))  # a TLS socket takes the place of its own
    return stream


def _open_tunnel(stream: httpcore.NetworkStream, head: bytes, scope: CancelScope) -> None:
    answer = ResponseReader()
    try:
        stream.write(head, scope.remaining_s(connecting=True))
        while True:
            data = stream.read(_READ_BYTES, scope.remaining_s(connecting=True))
            if (rest := answer.feed_head(data)) is not None:
                break
    except httpcore.TimeoutException as exc:
        raise httpcore.ConnectTimeout from exc
    except (httpcore.NetworkError, NotHTTP) as exc:
        raise ProxyRefused("the proxy broke the connection off") from exc
    if not 200 <= answer.status < 300:
        raise ProxyRefused(refusal(answer.status))
    if rest:  # the client sends first
        raise ProxyRefused("the proxy sent data of its own through the tunnel")
