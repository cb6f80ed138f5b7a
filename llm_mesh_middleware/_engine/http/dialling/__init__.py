"""Opens asynchronous connections.

    no proxy    `direct`: name, addresses, TLS; this is all that most processes ever need
    a proxy     `proxied`: aiohttp, which is imported when the first proxy is met

aiohttp takes a fifth of the memory and of the start of `llm-mesh serve`, so it is kept for the
tunnels that it knows how to build.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from ...tasks.gate import in_turns
from ..async_connection import AsyncConnection, AsyncDestination
from .direct import Dialler
from .failures import NotConnected

if TYPE_CHECKING:
    from .proxied import ProxyDialler

__all__ = ["AsyncConnector", "NotConnected"]


class AsyncConnector:
    """Opens connections for one event loop, without a limit on their number."""

    def __init__(self) -> None:
        self._direct = Dialler(asyncio.get_running_loop())
        self._proxied: ProxyDialler | None = None
        self._is_closed = False

    async def open(self, destination: AsyncDestination, connect_s: float) -> AsyncConnection:
        """Return a new connection to `destination`.

        Raises:
            TimeoutError: it took longer than `connect_s` seconds, tunnel and TLS included, or no
                other connection was opened for so long.
            NotConnected: there is none, for a reason that may be told.
        """
        if self._is_closed:
            raise NotConnected("the connection was lost", has_connected=True)
        await destination.gate.enter(connect_s)
        has_passed = False
        try:
            async with in_turns(connect_s):
                connection = await self._dial(destination)
            has_passed = True
        finally:
            destination.gate.leave(has_passed=has_passed)
        if connection.is_spent():  # closed already, or the server has sent bytes first
            connection.abort()
            raise NotConnected("the connection was closed before an answer", has_connected=True)
        return connection

    async def aclose(self) -> None:
        """Open no more."""
        self._is_closed = True
        if self._proxied is not None:
            await self._proxied.aclose()

    async def _dial(self, destination: AsyncDestination) -> AsyncConnection:
        if destination.proxy_url is not None:
            if self._proxied is None:
                from .proxied import ProxyDialler

                self._proxied = ProxyDialler()
            return await self._proxied.dial(destination)
        try:
            return await self._direct.dial(destination.endpoint, destination.context)
        except (OSError, ssl.SSLError) as exc:
            raise NotConnected.because(exc) from exc
