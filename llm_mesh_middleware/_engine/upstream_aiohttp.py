"""Upstream calls on aiohttp: the asynchronous default."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from .._core.messages import Deadline, UpstreamRequest
from ..exceptions import UpstreamError, UpstreamProtocolError
from .aiohttp_wire import Answered, Connector, Destination, discard, exchange, is_sent
from .tls import TLSContexts
from .upstream import STALE_S, connect_failure, env_proxy, response_head, torn

__all__ = ["AiohttpUpstreamClient"]

_ENDS = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError)

# Most specific first: several of them inherit from one another.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the name cannot be resolved"),
    (
        aiohttp.ClientConnectorCertificateError,
        "its certificate is not valid for it, or not trusted",
    ),
    (aiohttp.ClientConnectorSSLError, "the TLS handshake failed"),
    (aiohttp.ClientProxyConnectionError, "the proxy refused the connection"),
    (aiohttp.ClientHttpProxyError, "the proxy refused the connection"),
    (aiohttp.ClientConnectorError, "the connection was refused"),
    (aiohttp.ClientOSError, "the connection was reset"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer"),
    (aiohttp.ClientConnectionError, "the connection was lost"),
)


class AiohttpUpstreamClient:
    """One pool of connections, made in the event loop that uses it."""

    def __init__(self, contexts: TLSContexts, *, trust_env: bool) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        self._clock = asyncio.get_running_loop().time
        self._connector = Connector()

    async def open(self, request: UpstreamRequest) -> AiohttpUpstreamResponse:
        """Send `request`; see `AsyncUpstreamClient`."""
        host = request.endpoint.provider_host
        try:
            answered = await self._answer(request)
        except _FAULTS as exc:
            raise _map(exc, request) from exc
        try:
            return AiohttpUpstreamResponse(answered, host)
        except UpstreamError:
            discard(answered.connection)
            raise

    async def _answer(self, request: UpstreamRequest) -> Answered:
        """Replaces a kept connection that the provider was closing as the request came, once."""
        destination = self._destination(request)
        head = destination.head(request)
        has_replaced = False
        while True:
            connection, is_kept = await self._connector.open(destination)
            sent_at = self._clock()
            try:
                return await exchange(connection, head, request.body)
            except BaseException as exc:
                discard(connection)
                is_stale = is_kept and self._clock() - sent_at < STALE_S
                if has_replaced or not is_stale or not isinstance(exc, _ENDS):
                    raise
            has_replaced = True

    def _destination(self, request: UpstreamRequest) -> Destination:
        endpoint = request.endpoint
        return self._connector.destination(
            endpoint,
            request.connect_timeout_s,
            self._contexts.get(endpoint.tls) if endpoint.scheme == "https" else None,
            env_proxy(endpoint) if self._trust_env else None,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connector.close()


class AiohttpUpstreamResponse:
    """An answer on a connection of aiohttp's.

    It watches its connection, because aiohttp 3.14 is silent about two ends of a body: after a
    chunk that is none a read waits for ever, and where the end of the connection is the end of the
    body a reset passes for it.
    """

    __slots__ = ("_closed", "_connection", "_content", "_host", "_is_framed", "_is_reset", "head")

    def __init__(self, answered: Answered, host: str) -> None:
        connection, message, self._content = answered
        self._connection = connection
        self._host = host
        self.head = response_head(host, message.code, message.raw_headers)
        headers = message.headers
        self._is_framed = "content-length" in headers or "transfer-encoding" in headers
        self._is_reset = False
        protocol = connection.protocol
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.add_done_callback(self._connection_lost)

    async def read(self) -> bytes:
        """The next bytes; see `AsyncUpstreamResponse`."""
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as exc:
            raise torn(self._host) from exc
        except RuntimeError as exc:  # what aiohttp raises for a read after the connection's end
            raise torn(self._host) from exc
        if self._is_reset and not data:
            raise torn(self._host)
        return data

    async def aclose(self) -> None:
        """Release at the end of the body, close before it."""
        if self._closed is not None:
            self._closed.remove_done_callback(self._connection_lost)
            # A reset while the connection is idle is nobody's error; asyncio would log it as one.
            self._closed.remove_done_callback(_ignore)
            self._closed.add_done_callback(_ignore)
        if self._content.at_eof() and is_sent(self._connection):
            self._connection.release()
        else:
            discard(self._connection)

    def _connection_lost(self, closed: asyncio.Future[None]) -> None:
        content = self._content
        self._is_reset = not self._is_framed and _ignore(closed) is not None
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection ended"))


def _ignore(closed: asyncio.Future[None]) -> BaseException | None:
    """Take the future's exception, if there is one, so that asyncio does not report it."""
    return None if closed.cancelled() else closed.exception()


def _map(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    host = request.endpoint.provider_host
    if isinstance(exc, TimeoutError):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return connect_failure(host, reason)
    if isinstance(exc, aiohttp.ClientError | HttpProcessingError):
        return UpstreamProtocolError(f"{host} answered something that is not HTTP")
    # What is left is ours: a CA or certificate file that cannot be used.
    reason = exc.strerror or type(exc).__name__ if isinstance(exc, OSError | ssl.SSLError) else ""
    return connect_failure(host, f"the TLS files for it cannot be used ({reason})")
