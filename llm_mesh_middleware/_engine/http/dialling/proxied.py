"""Connections through a proxy of the environment, which aiohttp opens: tunnels, TLS inside TLS.

The transport is then taken over, because an aiohttp session spends two thirds of a call on things a
mesh does not need: parsing URLs and headers, cookies, redirects.
"""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from ...tls import tls_reason
from ..async_connection import AsyncConnection, AsyncDestination
from ..http1 import NotHTTP
from ..proxy import UNKNOWN_NAME, UNREACHABLE, refusal
from .failures import NotConnected

__all__ = ["ProxyDialler"]

# Connecting has one limit; the driver limits later phases.
_NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

# Most specific first: several of them inherit from one another.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, UNKNOWN_NAME),  # only the proxy's name is resolved here
    (aiohttp.ClientProxyConnectionError, UNREACHABLE),
    (aiohttp.ClientConnectorError, "the connection was refused"),
)
# The same for connections that were established.
_LOSSES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientOSError, "the connection was reset"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer"),
    (aiohttp.ClientConnectionError, "the connection was lost"),
)


class _Connector(aiohttp.TCPConnector):
    async def open(self, destination: AsyncDestination) -> asyncio.Transport:
        """Return the transport of a new connection."""
        opened = await self._create_connection(_request_of(destination), [], _NO_TIMEOUTS)
        transport = opened.transport
        if transport is None or opened.should_close:  # closed, or the server has sent bytes first
            opened.close()
            raise aiohttp.ServerDisconnectedError
        return transport


class ProxyDialler:
    """Opens connections in the running event loop."""

    def __init__(self) -> None:
        self._connector = _Connector()

    async def dial(self, destination: AsyncDestination) -> AsyncConnection:
        """Return a new connection to `destination`.

        Raises:
            NotConnected: the proxy, or the provider behind it, cannot be connected to.
            NotHTTP: the proxy does not speak HTTP.
        """
        try:
            transport = await self._connector.open(destination)
        except aiohttp.ClientError as exc:
            raise _failure(exc) from exc
        connection = AsyncConnection()
        connection.connection_made(transport)
        transport.set_protocol(connection)
        return connection

    async def aclose(self) -> None:
        """Open no more."""
        await self._connector.close()


def _request_of(destination: AsyncDestination) -> aiohttp.ClientRequest:
    """Return the request that aiohttp's connector takes the address from; it is never sent."""
    endpoint, context = destination.endpoint, destination.context
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return aiohttp.ClientRequest(
        "GET",
        URL(f"{endpoint.scheme}://{host}:{endpoint.port}", encoded=True),
        loop=asyncio.get_running_loop(),
        ssl=context or True,
        server_hostname=endpoint.server_name if context is not None else None,
        proxy=URL(destination.proxy_url) if destination.proxy_url is not None else None,
    )


def _failure(exc: aiohttp.ClientError) -> Exception:
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return NotConnected(refusal(exc.status))
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return NotConnected(tls_reason(exc.certificate_error))
    if isinstance(exc, aiohttp.ClientConnectorSSLError):
        return NotConnected(tls_reason(exc.os_error))
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return NotConnected(reason)
    for kind, reason in _LOSSES:
        if isinstance(exc, kind):
            return NotConnected(reason, has_connected=True)
    return NotHTTP("the answer of the proxy is invalid")
