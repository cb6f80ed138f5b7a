"""Connections as aiohttp opens them: name, address, TLS and proxies are its business.

What is sent and read on them is not: a session spends two thirds of a call on what a mesh has no
use for, such as URLs and headers made from text, cookies and redirects, and its pool and its parser
make objects for each call that nobody needs.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from ..._core.values.endpoint import Endpoint
from ..._core.values.messages import UpstreamRequest
from .async_wire import AsyncWire
from .pool import Pool
from .protocols import request_head

__all__ = ["Destination", "Dialer"]


class Destination:
    """Where calls go: an endpoint, what is needed to connect to it, and idle connections to it."""

    __slots__ = ("_is_forwarded", "address", "pool")

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, proxy: str | None
    ) -> None:
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        # To aiohttp's connector a request is an address; this one is never sent.
        self.address = aiohttp.ClientRequest(
            "GET",
            URL(f"{endpoint.scheme}://{host}:{endpoint.port}", encoded=True),
            loop=asyncio.get_running_loop(),
            ssl=context or True,
            server_hostname=endpoint.server_name if context is not None else None,
            proxy=URL(proxy) if proxy is not None else None,
        )
        self.pool: Pool[AsyncWire] = Pool()
        self._is_forwarded = proxy is not None and context is None

    def head(self, request: UpstreamRequest) -> bytes:
        """The request's head on the wire.

        Raises:
            UpstreamProtocolError: a field would not be the one that it is.
        """
        target, fields = request.target, request.headers
        if self._is_forwarded:  # the proxy is to see the whole address, and its own credentials
            target = f"{self.address.url.origin()}{target}"
            if credentials := self.address.headers.get("Proxy-Authorization"):
                fields = (*fields, (b"proxy-authorization", credentials.encode()))
        return request_head(request, target=target, fields=fields)


class Dialer(aiohttp.TCPConnector):
    """Opens connections, as many as are needed."""

    async def dial(self, destination: Destination, connect_s: float) -> AsyncWire:
        """A connection to `destination`, taken over from aiohttp.

        Raises:
            TimeoutError: there was none within `connect_s` seconds.
            aiohttp.ClientError: there was none.
        """
        if self.closed:
            raise aiohttp.ClientConnectionError
        # Only connecting is timed here; the later phases are the driver's.
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_s, sock_read=None
        )
        opened = await self._create_connection(destination.address, [], timeout)
        transport = opened.transport
        if transport is None or opened.should_close:  # gone already, or it has spoken first
            opened.close()
            raise aiohttp.ServerDisconnectedError
        return AsyncWire(transport)
