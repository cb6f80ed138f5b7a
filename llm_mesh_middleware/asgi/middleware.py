"""The middleware itself: whose request is it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .._engine.tasks.interrupt import Interrupt
from ..exceptions import ConfigError, ServerShutdown
from ..inbound import Inbound, split_target
from ..mesh import Config, Mesh
from ..settings import MeshSettings
from .lifespan import Lifespan
from .protocol import ASGIApp, Receive, Scope, Send
from .responder import Responder

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["LLMMeshMiddleware"]


class LLMMeshMiddleware:
    """Serves requests whose Host is a virtual LLM host; the app never sees them.

    All other traffic reaches the app with the very same `scope`, `receive` and `send`.
    Configuration errors end the server's start-up with their text; without lifespan support they
    are raised by the first request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: Config | None = None,
        settings: MeshSettings | None = None,
        mesh: Mesh | None = None,
        attributes: Callable[[Scope], Mapping[str, str]] | None = None,
        authorize: Callable[[Scope], bool] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Wrap `app`; with no other argument everything is read from `LLM_MESH_*`.

        Args:
            app: the ASGI application.
            config: manifests, as `Mesh` takes them.
            settings: as `Mesh` takes them.
            mesh: a mesh to share with other adapters, instead of `config` and `settings`.
            attributes: the application's own facts about a request (plan, tenant), for matching.
            authorize: decides who may use the mesh beside `LLM_MESH_ACCESS`.
            tracer_provider: as `Mesh` takes it.
            meter_provider: as `Mesh` takes it.
            logger_provider: as `Mesh` takes it.
        """
        self.app = app
        self._inbound: Inbound[Scope] = Inbound(
            config=config,
            settings=settings,
            mesh=mesh,
            attributes=attributes,
            authorize=authorize,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
        )
        self._interrupts: set[Interrupt] = set()

    @property
    def mesh(self) -> Mesh:
        """The mesh behind this middleware, made on first use.

        Not made by the constructor: Starlette calls that inside the lifespan, where servers take an
        exception for an app without lifespan and start all the same.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        return self._inbound.mesh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3.0)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        mesh = self._inbound.mesh
        host, hosts_seen = b"", 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts_seen += 1
        virtual_host = None
        if hosts_seen == 1 and scope["path"][:1] == "/":
            virtual_host = mesh.find(host)
            if virtual_host is None:
                await self.app(scope, receive, send)
                return

        hosts = [value for name, value in scope["headers"] if name == b"host"]
        authority, path = split_target(scope.get("method", "GET"), _without_root(scope))
        if virtual_host is None:
            named = hosts if authority is None else [*hosts, authority]
            virtual_host = next(filter(None, map(mesh.find, named)), None)
        if virtual_host is None:
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
        else:
            responder = Responder(
                self._inbound, virtual_host, scope, receive, send, self._interrupts
            )
            await responder.respond(path, hosts, authority)

    def interrupt(self) -> None:
        """End what is under way: a stream with its `error` event, anything else with 503.

        For a server that is shutting down and has waited long enough; called in its event loop.
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


def _without_root(scope: Scope) -> str:
    """The path below the mount point; servers put `root_path` before an absolute target too."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"
