"""The ASGI middleware: it serves virtual hosts, and passes everything else to the app."""

from __future__ import annotations

from typing import Unpack

from .._engine.tasks.interrupt import Interrupt
from ..exceptions import ConfigError, ServerShutdown
from ..inbound import AdapterOptions, Inbound
from ..mesh import Mesh
from ._client import ASGIClient
from ._responder import Responder
from .lifespan import Lifespan
from .protocol import ASGIApp, Receive, Scope, Send
from .scope import address_named, address_scope, request_of

__all__ = ["LLMMeshMiddleware"]


class LLMMeshMiddleware:
    """Serves requests whose Host is a virtual LLM host; the app never sees them.

    All other traffic reaches the app with the very same `scope`, `receive` and `send`.
    Configuration errors end the server's start-up with their text; without lifespan support they
    are raised by the first request.
    """

    def __init__(self, app: ASGIApp, **options: Unpack[AdapterOptions[Scope]]) -> None:
        """Wrap `app`.

        Args:
            app: the ASGI application.
            **options: see `AdapterOptions`; its callables get the scope.
        """
        self.app = app
        self._inbound: Inbound[Scope] = Inbound(options)
        self._interrupts: set[Interrupt] = set()

    @property
    def mesh(self) -> Mesh:
        """The mesh behind this middleware, created on first use.

        The constructor does not create it: Starlette calls that inside the lifespan, where servers
        mistake an exception for an app without lifespan, and start anyway.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        return self._inbound.mesh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3.0)."""
        kind = scope["type"]
        if kind != "http" and kind != "websocket":
            serve = self._lifespan if kind == "lifespan" else self.app
            await serve(scope, receive, send)
            return
        inbound = self._inbound
        find = inbound.mesh.find
        host, hosts_seen = b"", 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts_seen += 1
        addressed = None
        if hosts_seen != 1 or scope["path"][:1] != "/":
            addressed = address_scope(find, scope)
        elif (found := find(host)) is not None:  # nearly every request of the application is not
            addressed = address_named(found, host, scope) or address_scope(find, scope)
        if addressed is None:
            if not inbound.has_attributes:
                await self.app(scope, receive, send)
                return
            with inbound.stating(scope):
                await self.app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
        else:
            client = ASGIClient(scope, receive, send, inbound)
            responder = Responder(inbound, addressed, client, self._interrupts)
            await responder.respond(request_of(addressed, scope, scope))

    def interrupt(self) -> None:
        """End running requests: a stream with an `error` event, anything else with 503.

        For a server at the end of its grace period; called in its event loop.
        """
        for interrupt in list(self._interrupts):
            interrupt.fire(ServerShutdown())

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Report a bad configuration as a failed start-up; close connections at shutdown."""
        try:
            mesh = self.mesh
        except ConfigError as exc:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            raise  # as Starlette does: a caller that ignores the message must not wait for ever

        await Lifespan(mesh, receive, send).run(self.app, scope)
