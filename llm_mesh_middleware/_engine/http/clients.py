"""The HTTP clients of a mesh: one for each event loop, one for all threads of the process."""

from __future__ import annotations

import asyncio
import importlib
import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..._forks import ForkLock
from .protocols import AsyncUpstreamClient, UpstreamClient
from .tls import TLSContexts

if TYPE_CHECKING:
    import httpx

__all__ = ["UpstreamClients"]


class UpstreamClients:
    """Made on first use; an HTTP library is imported only when it is the one that is used."""

    def __init__(
        self,
        contexts: TLSContexts,
        *,
        uses_httpx: bool = False,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            contexts: the TLS contexts of the mesh.
            uses_httpx: make asynchronous calls with httpx too, not with aiohttp.
            trust_env: go through the proxies of the process's own variables.
            transport: carries every call, and implies httpx.
        """
        self._contexts = contexts
        self._uses_httpx = uses_httpx or transport is not None
        self._trust_env = trust_env
        self._transport = transport
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncUpstreamClient] = (
            WeakKeyDictionary()
        )
        self._lock = ForkLock()
        self._sync: UpstreamClient | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is a transport that carries every call."""
        return self._transport is not None

    def of_loop(self) -> AsyncUpstreamClient:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            self._drop_closed_loops()
            client = self._by_loop[loop] = self._make_async()
        return client

    def warm_up(self) -> None:
        """Import what `of_loop` needs."""
        importlib.import_module(
            ".async_transport_client" if self._uses_httpx else ".async_pooled_client", __package__
        )

    def of_process(self) -> UpstreamClient:
        """The synchronous client, which threads share."""
        return self._sync or self._make_sync()

    def make_spans(self) -> bool:
        """Whether OpenTelemetry's instrumentation of the HTTP library makes a span of each call."""
        if not self._uses_httpx:
            return False
        from .httpx_transport import is_instrumented

        return is_instrumented(self._transport)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def close(self) -> None:
        """Close the synchronous connections, and those of event loops that no longer run."""
        client, self._sync = self._sync, None
        if client is not None:
            client.close()
        for loop in list(self._by_loop):
            if loop.is_running():
                continue
            async_client = self._by_loop.pop(loop)
            if not loop.is_closed():
                loop.run_until_complete(async_client.aclose())

    def forget(self) -> None:
        """In a forked process: the connections are the parent's."""
        with warnings.catch_warnings():
            # To close them takes locks of the pool's; dropped, they are closed for this process.
            warnings.simplefilter("ignore", ResourceWarning)
            self._sync = None

    def _drop_closed_loops(self) -> None:
        """A program may have a loop for each call, and a client holds its loop.

        Nothing can be closed in a loop that is: the connections go when nobody holds them.
        """
        for loop in list(self._by_loop):
            if loop.is_closed():
                self._by_loop.pop(loop, None)

    def _make_async(self) -> AsyncUpstreamClient:
        if self._uses_httpx:
            from .async_transport_client import AsyncTransportClient

            return AsyncTransportClient(
                self._contexts, trust_env=self._trust_env, transport=self._transport
            )
        from .async_pooled_client import AsyncPooledClient

        return AsyncPooledClient(self._contexts, trust_env=self._trust_env)

    def _make_sync(self) -> UpstreamClient:
        from .pooled_client import PooledClient

        with self._lock.of_process:
            if self._sync is None:
                self._sync = PooledClient(
                    self._contexts, trust_env=self._trust_env, transport=self._transport
                )
            return self._sync
