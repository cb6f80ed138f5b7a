"""HTTP/1.1 on the connections of aiohttp, below its session.

A session spends two thirds of a call on what a mesh has no use for: URLs and headers made from
text, cookies, redirects, a task that writes the body. Here aiohttp resolves, connects, keeps and
parses; what goes out is the bytes that the exchange has decided on.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from .._core.messages import UpstreamRequest
from .._core.upstream import Endpoint
from .line import MAX_JOINED_BYTES
from .upstream import MAX_HEAD_BYTES, request_head

__all__ = ["Answered", "Connector", "Destination", "discard", "exchange", "is_sent"]

_READ_BYTES = 64 * 1024
_MAX_DESTINATIONS = 256

# An answer comes after these; 101 is one, though none that a mesh could use.
_INFORMATIONAL = frozenset({100, *range(102, 200)})


class Answered(NamedTuple):
    """An answer whose head has come, and the connection that brings the rest."""

    connection: Connection
    message: RawResponseMessage
    content: StreamReader


class Destination:
    """Where calls go: an endpoint, with what is needed to connect to it."""

    __slots__ = ("_is_forwarded", "address", "timeout")

    def __init__(
        self,
        endpoint: Endpoint,
        connect_s: float,
        context: ssl.SSLContext | None,
        proxy: str | None,
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
        self._is_forwarded = proxy is not None and context is None
        # Only connecting is timed here; the later phases are the driver's.
        self.timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_s, sock_read=None
        )

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


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool of connections, as many as are needed, and where they lead."""

    def __init__(self) -> None:
        super().__init__(limit=0)
        self._newest: ResponseHandler | None = None
        self._destinations: dict[tuple[object, ...], Destination] = {}

    def destination(
        self,
        endpoint: Endpoint,
        connect_s: float,
        context: ssl.SSLContext | None,
        proxy: str | None,
    ) -> Destination:
        """The same one for the same arguments."""
        key = (endpoint, connect_s, context, proxy)
        found = self._destinations.get(key)
        if found is None:
            if len(self._destinations) >= _MAX_DESTINATIONS:  # of many versions of a configuration
                self._destinations.clear()
            found = self._destinations[key] = Destination(endpoint, connect_s, context, proxy)
        return found

    async def open(self, destination: Destination) -> tuple[Connection, bool]:
        """A connection, and whether it has served another call before.

        A kept one on which the provider has said something unasked is not used: that would be taken
        for the answer.

        Raises:
            TimeoutError: there was none in time.
            aiohttp.ClientError: there was none.
        """
        while True:
            self._newest = None
            connection = await self.connect(destination.address, [], destination.timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection, protocol is not self._newest
            connection.close()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as the base class has it
    ) -> ResponseHandler:
        self._newest = protocol = await super()._create_connection(req, traces, timeout)
        return protocol


async def exchange(connection: Connection, head: bytes, body: bytes) -> Answered:
    """Send a request and wait for the head of its answer.

    Raises:
        aiohttp.ClientError: there was none.
        HttpProcessingError: it was none in HTTP.
    """
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=_READ_BYTES,
        max_line_size=MAX_HEAD_BYTES,
        max_field_size=MAX_HEAD_BYTES,
    )
    if len(body) <= MAX_JOINED_BYTES:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)
    while True:
        message, content = await protocol.read()
        if message.code not in _INFORMATIONAL:
            return Answered(connection, message, content)


def is_sent(connection: Connection) -> bool:
    """Whether the whole request has left; some providers answer before they have read it."""
    transport = connection.transport
    return transport is None or not transport.get_write_buffer_size()


def discard(connection: Connection) -> None:
    """Close at once, not after the provider has taken the rest of the request."""
    if not is_sent(connection) and connection.transport is not None:
        connection.transport.abort()
    connection.close()
