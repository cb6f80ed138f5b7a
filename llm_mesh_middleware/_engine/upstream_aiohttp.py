"""Upstream calls on aiohttp: the asynchronous default.

Bare: no cookies, no redirects, no decompression, no headers of its own, no limit on connections.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from .._core.messages import Deadline, UpstreamRequest
from ..exceptions import UpstreamError, UpstreamProtocolError
from .tls import TLSContexts
from .upstream import MAX_HEAD_BYTES, STALE_S, connect_failure, env_proxy, response_head, torn

__all__ = ["AiohttpUpstreamClient"]

_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# aiohttp writes bytes over this size to the socket in one go and warns of it; a file it writes in
# pieces.
_MAX_BYTES_BODY = 2**20

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


# Whether the current task's request went out on a connection that had served another before.
_is_reused: ContextVar[bool] = ContextVar("_is_reused", default=False)


class _Connector(aiohttp.TCPConnector):
    """Tells a new connection from a kept one; aiohttp itself only sends GET a second time."""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as the base class has it
    ) -> ResponseHandler:
        _is_reused.set(False)
        return await super()._create_connection(req, traces, timeout)


class AiohttpUpstreamClient:
    """One session, made in the event loop that uses it."""

    def __init__(self, contexts: TLSContexts, *, trust_env: bool) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        self._clock = asyncio.get_running_loop().time
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_HEADERS,
            auto_decompress=False,
            trust_env=False,  # it would read .netrc too
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
        )

    async def open(self, request: UpstreamRequest) -> AiohttpUpstreamResponse:
        """Send `request`; see `AsyncUpstreamClient`.

        A kept connection that the provider was closing when the request came is replaced, once.
        """
        host = request.endpoint.provider_host
        clock = self._clock
        sent_at = clock()
        try:
            response = await self._send(request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
            is_stale = _is_reused.get() and clock() - sent_at < STALE_S
            if not is_stale or isinstance(exc, aiohttp.ClientConnectorError):
                raise _map(exc, request) from exc
            try:
                response = await self._send(request)
            except (aiohttp.ClientError, OSError) as again:
                raise _map(again, request) from again
        except (aiohttp.ClientError, OSError) as exc:
            raise _map(exc, request) from exc
        try:
            return AiohttpUpstreamResponse(response, host)
        except UpstreamError:
            response.close()
            raise

    async def _send(self, request: UpstreamRequest) -> aiohttp.ClientResponse:
        endpoint, body = request.endpoint, request.body
        is_tls = endpoint.scheme == "https"
        _is_reused.set(True)
        return await self._session.request(
            request.method,
            _url(endpoint.scheme, endpoint.address, endpoint.port, request.target),
            headers=_multidict(request.headers),
            data=io.BytesIO(body) if len(body) > _MAX_BYTES_BODY else body or None,
            ssl=self._contexts.get(endpoint.tls) if is_tls else True,
            server_hostname=endpoint.server_name if is_tls else None,
            proxy=env_proxy(endpoint) if self._trust_env else None,
            allow_redirects=False,
            timeout=_timeout(request.connect_timeout_s),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class AiohttpUpstreamResponse:
    """An answer on its aiohttp response.

    It watches its connection, because aiohttp 3.14 is silent about two ends of a body: after a
    chunk that is none a read waits for ever, and where the end of the connection is the end of the
    body a reset passes for it.
    """

    __slots__ = ("_closed", "_host", "_is_framed", "_is_reset", "_response", "head")

    def __init__(self, response: aiohttp.ClientResponse, host: str) -> None:
        self._response = response
        self._host = host
        self.head = response_head(host, response.status, response.raw_headers)
        headers = response.headers
        self._is_framed = "content-length" in headers or "transfer-encoding" in headers
        self._is_reset = False
        protocol = response.connection.protocol if response.connection is not None else None
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.add_done_callback(self._connection_lost)

    async def read(self) -> bytes:
        """The next bytes; see `AsyncUpstreamResponse`."""
        try:
            data = await self._response.content.readany()
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
        if not self._response.content.at_eof():
            self._response.close()

    def _connection_lost(self, closed: asyncio.Future[None]) -> None:
        content = self._response.content
        self._is_reset = not self._is_framed and _ignore(closed) is not None
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection ended"))


def _ignore(closed: asyncio.Future[None]) -> BaseException | None:
    """Take the future's exception, if there is one, so that asyncio does not report it."""
    return None if closed.cancelled() else closed.exception()


def _map(exc: Exception, request: UpstreamRequest) -> UpstreamError:
    host = request.endpoint.provider_host
    if isinstance(exc, aiohttp.ConnectionTimeoutError | aiohttp.ServerTimeoutError):
        return Deadline(0.0, "connect", request.connect_timeout_s, host).error()
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return connect_failure(host, reason)
    if isinstance(exc, aiohttp.ClientError):
        return UpstreamProtocolError(f"{host} answered something that is not HTTP")
    # What is left is ours: a CA or certificate file that cannot be used.
    reason = exc.strerror or type(exc).__name__ if isinstance(exc, OSError | ssl.SSLError) else ""
    return connect_failure(host, f"the TLS files for it cannot be used ({reason})")


@lru_cache(maxsize=1024)
def _url(scheme: str, address: str, port: int, target: str) -> URL:
    """Targets come from the configuration only, so there are few; parsing one takes 10 µs."""
    host = f"[{address}]" if ":" in address else address
    return URL(f"{scheme}://{host}:{port}{target}", encoded=True)


@lru_cache(maxsize=64)
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    """Only connecting is timed here; the later phases are the driver's."""
    return aiohttp.ClientTimeout(total=None, connect=None, sock_connect=connect_s, sock_read=None)


def _multidict(headers: tuple[tuple[bytes, bytes], ...]) -> CIMultiDict[str]:
    """aiohttp writes header values as UTF-8, so that is how they are read here."""
    return CIMultiDict(
        [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]
    )
