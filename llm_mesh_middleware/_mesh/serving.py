"""Serving: makes the flows of requests, and runs them by the drivers."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from time import monotonic, time
from typing import Any

from msgspec.structs import replace

from .._core.flow.attempts.context import ExchangeSettings
from .._core.flow.exchange import exchange
from .._core.flow.observer import Observer
from .._core.flow.reply import Flow
from .._core.flow.serving import Access, Addressed, Entrance, serve
from .._core.flow.state import MeshState
from .._core.routing.table import VirtualHost
from .._core.values.messages import ClientRequest
from .._core.values.steps import AsyncPort, Port
from .._engine.drivers.async_driver import adrive
from .._engine.drivers.delivery import AsyncDelivery, Delivery
from .._engine.drivers.driver import drive
from .._engine.event_loop import running_loop
from .._engine.http.clients import UpstreamClients
from .._engine.tasks.background import AsyncBackground, Background
from .._engine.tasks.cancel_scope import CancelScope
from ..exceptions import AnswerableError, ClientDisconnected, NoRouteMatched
from .attributes import attributes_for, source_for, stated, stated_by
from .checking import Checking
from .seldom import Seldom

__all__ = ["Serving"]

logger = logging.getLogger("llm_mesh_middleware")


def _client_left() -> Exception:
    return ClientDisconnected("the client went away")


class Serving:
    """Makes the flows of requests, and runs them in a thread or an event loop.

    `state` is replaced in a forked process; `settings` apply to every exchange.
    """

    def __init__(
        self,
        *,
        settings: ExchangeSettings,
        state: MeshState,
        clients: UpstreamClients,
        checking: Checking,
        observer: Observer,
        rng: Callable[[], float],
        keeps_content: bool,
        max_request_bytes: int,
    ) -> None:
        self.settings = settings
        self.state = state
        self.clients = clients
        self._checking = checking
        self._observer = observer
        self._rng = rng
        self._keeps_content = keeps_content
        self._max_request_bytes = max_request_bytes
        self._background = Background()
        self._async_background = AsyncBackground()
        self._warnings = Seldom()
        self._owner = object()  # owns the attributes, so that a longer-lived context holds no mesh
        self._outbound = self.entrance()

    def attributes(self, attributes: dict[str, str]) -> AbstractContextManager[None]:
        """Return a context in which calls have these attributes."""
        return stated(self._owner, attributes)

    def attributes_from(
        self, port: Port | AsyncPort, native: object
    ) -> AbstractContextManager[None]:
        """Return a context in which calls ask `port`, with `native`, for their attributes.

        Attributes that are set inside override those of the port.
        """
        return stated_by(self._owner, (port, native))

    def entrance(
        self,
        *,
        access: Access | None = None,
        attributes: Port | AsyncPort | None = None,
        keepalive_s: float = 0.0,
    ) -> Entrance:
        """Return the entrance through which an adapter serves requests.

        Args:
            access: decides who may use the mesh; None for calls of the application itself.
            attributes: returns the application's facts about a request.
            keepalive_s: the longest silence of a stream in seconds; 0 for no limit.
        """
        return Entrance(
            access=access,
            attributes=attributes,
            max_request_bytes=self._max_request_bytes,
            refused=self.refuse,
            proceed=self.exchange,
            keepalive_s=keepalive_s,
        )

    def outgoing(self, addressed: Addressed, request: ClientRequest) -> Flow:
        """Return the flow of a call that the application itself makes.

        Args:
            addressed: the virtual host, and every name that the request gives it.
            request: the request, its body complete.
        """
        source = source_for(self._owner)
        if source is None:
            return serve(self._outbound, addressed, request, None)
        port, native = source
        request = replace(request, native=native, attributes=attributes_for(self._owner))
        return serve(self.entrance(attributes=port), addressed, request, None)

    def exchange(self, host: VirtualHost, request: ClientRequest, keepalive_s: float = 0.0) -> Flow:
        """Return the flow of an admitted request; for `keepalive_s` see `entrance`.

        Raises:
            RequestError: the request is at fault.
        """
        if not self._checking.has_begun:
            self._checking.begin()
        request = self._addressed(host, request)
        try:
            return exchange(
                host,
                request,
                self.settings,
                self.state,
                monotonic,
                time,
                self._rng,
                self._observer(request),
                keepalive_s,
            )
        except NoRouteMatched as error:
            if self._warnings.allows(host.name, monotonic()):
                logger.warning("%s; `llm-mesh explain` says why", error.message)
            raise

    def refuse(self, host: VirtualHost, request: ClientRequest, error: AnswerableError) -> None:
        """Report a request to observers that is refused before it is sent."""
        self._observer(self._addressed(host, request)).ended(error.status, error, None)

    def arun(
        self,
        flow: Flow,
        why: Callable[[], Exception] | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> Coroutine[Any, Any, AsyncDelivery]:
        """Run a flow in the running event loop.

        Args:
            flow: what `exchange`, `outgoing` or `serve` returned.
            why: returns the error that a cancellation of the calling task stands for; by default
                the client has left.
            loop: the event loop, if the caller knows it: on Python 3.11 it takes a system call.
        """
        loop = loop or running_loop()
        client = self.clients.of_loop(loop)
        return adrive(flow, client, self._async_background, why or _client_left, loop)

    def run(self, flow: Flow, *, scope: CancelScope | None = None) -> Delivery:
        """Run a flow in the calling thread; `scope` ends it from another one."""
        return drive(flow, self.clients.of_process(), self._background, scope or CancelScope())

    async def aclose(self) -> None:
        """Cancel background work of the running event loop, and close its connections."""
        await self._async_background.aclose()
        await self.clients.aclose()

    def close(self) -> None:
        """Cancel background work in threads, and close the connections of threads.

        Those of event loops that no longer run are closed too.
        """
        self._background.close()
        self.clients.close()

    def begin_process(self, state: MeshState) -> None:
        """Reset in a forked child; connections and calls stay with the parent process."""
        self.clients.forget()
        self.state = state
        self._background = Background()
        self._async_background = AsyncBackground()

    def _addressed(self, host: VirtualHost, request: ClientRequest) -> ClientRequest:
        """Return the request with its host's name and the attributes of the context."""
        stated = attributes_for(self._owner)
        if not stated and not self._keeps_content and request.host == host.name:
            return request
        attributes = {**stated, **request.attributes} if stated else request.attributes
        return replace(
            request, host=host.name, attributes=attributes, keeps_content=self._keeps_content
        )
