"""The HTTP clients of a mesh: one for each event loop, one for all threads of the process.

    transport given    calls of an event loop      calls of threads
    no                 AsyncPooledClient           PooledClient
    yes                AsyncTransportClient        TransportClient

Each is created on first use, so a mesh can be created before a fork and outside any loop.
"""

from __future__ import annotations

import asyncio
import importlib
import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from ..._process.forks import ForkLock
from ..tls import TLSContexts
from .httpx_spans import is_instrumented
from .protocols import AsyncUpstreamClient, UpstreamClient

if TYPE_CHECKING:
    import httpx

__all__ = ["UpstreamClients"]


class UpstreamClients:
    """Creates and keeps the clients; an HTTP library is imported only when it is used."""

    def __init__(
        self,
        contexts: TLSContexts,
        *,
        uses_httpx: bool = False,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None = None,
    ) -> None:
        """Create no client yet.

        Args:
            contexts: the TLS contexts of the mesh.
            uses_httpx: show calls of event loops to OpenTelemetry's instrumentation of httpx too.
            trust_env: use the proxies that the environment names.
            transport: carries every call.
        """
        self._contexts = contexts
        self._uses_httpx = uses_httpx
        self._trust_env = trust_env
        self._transport = transport
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncUpstreamClient] = (
            WeakKeyDictionary()
        )
        self._last: tuple[ref[asyncio.AbstractEventLoop], AsyncUpstreamClient] | None = None
        self._lock = ForkLock()
        self._sync: UpstreamClient | None = None

    @property
    def is_given(self) -> bool:
        """Whether the application gave a transport."""
        return self._transport is not None

    @property
    def runs_foreign_code(self) -> bool:
        """Whether calls are made by a library, which may look for the active span."""
        return self._transport is not None or self._uses_httpx

    @property
    def serves_threads(self) -> bool:
        """Whether threads can have a client: a given transport may be asynchronous."""
        return self._transport is None or hasattr(self._transport, "handle_request")

    def of_loop(self, loop: asyncio.AbstractEventLoop) -> AsyncUpstreamClient:
        """Return the client of `loop`, which is running."""
        last = self._last
        if last is not None and last[0]() is loop:  # the usual case
            return last[1]
        client = self._by_loop.get(loop)
        if client is None:
            self._drop_closed_loops()
            client = self._by_loop[loop] = self._make_async()
        self._last = ref(loop), client
        return client

    def warm_up(self) -> None:
        """Import what `of_loop` needs."""
        is_given = self._transport is not None
        name = ".async_transport_client" if is_given else ".async_pooled_client"
        importlib.import_module(name, __package__)
        if self._trust_env and not is_given:
            from urllib.request import getproxies

            if getproxies():
                importlib.import_module(".dialling.proxied", __package__)

    def of_process(self) -> UpstreamClient:
        """Return the synchronous client, shared by all threads."""
        return self._sync or self._make_sync()

    def apart(self) -> UpstreamClient:
        """Return another synchronous client, whose connections its caller closes."""
        return self._new_sync()

    def make_spans(self) -> bool:
        """Return whether OpenTelemetry's instrumentation of httpx makes a span of each call."""
        if self._transport is None:
            return self._uses_httpx and is_instrumented()
        from .transport_client import has_spans

        return has_spans(self._transport)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        self._last = None
        client = self._by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def close(self) -> None:
        """Close the synchronous connections, and those of event loops that no longer run."""
        self._last = None
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
        """Drop the connections without closing them: after a fork they belong to the parent."""
        with warnings.catch_warnings():
            # Closing takes locks of the pool; dropping them closes them in this process only.
            warnings.simplefilter("ignore", ResourceWarning)
            self._sync = None
            self._last = None

    def _drop_closed_loops(self) -> None:
        """Drop the clients of closed loops: a program may create a loop for each call.

        Closing is no longer possible in those; their connections are garbage-collected.
        """
        for loop in list(self._by_loop):
            if loop.is_closed():
                self._by_loop.pop(loop, None)

    def _make_async(self) -> AsyncUpstreamClient:
        if self._transport is not None:
            from .async_transport_client import AsyncTransportClient

            return AsyncTransportClient(self._transport)
        from .async_pooled_client import AsyncPooledClient

        return AsyncPooledClient(
            self._contexts, trust_env=self._trust_env, has_httpx_spans=self._uses_httpx
        )

    def _make_sync(self) -> UpstreamClient:
        with self._lock.of_process:
            if self._sync is None:
                self._sync = self._new_sync()
            return self._sync

    def _new_sync(self) -> UpstreamClient:
        if self._transport is not None:
            from .transport_client import TransportClient

            return TransportClient(self._transport)
        from .pooled_client import PooledClient

        return PooledClient(self._contexts, trust_env=self._trust_env)
