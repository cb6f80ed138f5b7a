"""The live view of `llm-mesh serve`, on a listener of its own.

    run()         binds the view's socket, and sets the options in the environment
    each worker   serves both sockets; a request at the view's port is for the view
    workers > 1   each shows all, with the reports of the others

Nothing of the view is imported without `--view`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from collections.abc import Awaitable
from ipaddress import ip_address

import click
import msgspec

from ...asgi import ASGIApp, LLMMeshMiddleware, Message, Receive, Scope, Send
from ...view import LOOPBACK, MeshView
from .binding import bind
from .exposure import is_loopback
from .signals import add_handler
from .view_peers import PeerReports, serve_reports

__all__ = ["ViewListener", "ViewOptions", "bind_view"]


class ViewOptions(msgspec.Struct, frozen=True):
    """The view's options for workers; `folder` has their sockets, if there are several."""

    port: int
    hosts: tuple[str, ...]
    trace_url: str | None = None
    folder: str | None = None


def bind_view(
    address: tuple[str, int], names: tuple[str, ...], trace_url: str | None, *, workers: int
) -> tuple[socket.socket, ViewOptions]:
    """Bind the view's listener; return it with the options for workers.

    Args:
        address: where to listen.
        names: host names in addition to those of this machine.
        trace_url: the URL of a trace, with `{trace_id}` in it.
        workers: how many processes there are.
    """
    host, port = address
    listener = bind(host, port, "show the view on")
    listener.set_inheritable(True)
    port = listener.getsockname()[1]
    if not is_loopback(host):
        click.echo(
            f"warning: --view on {host}: anyone who can reach this port sees hosts, rules, models,"
            " consumers and calls; put it behind a login",
            err=True,
        )
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"the mesh is shown at http://{shown}:{port}/", err=True)
    folder = tempfile.mkdtemp(prefix="llm-mesh-") if workers > 1 else None
    hosts = (*LOOPBACK, *names, *([host] if _is_one_address(host) else []))
    return listener, ViewOptions(port, hosts, trace_url, folder)


def _is_one_address(host: str) -> bool:
    try:
        return not ip_address(host).is_unspecified
    except ValueError:
        return True


class ViewListener:
    """Serves the view at its port, and `app` at the other one."""

    _view: MeshView | None = None

    def __init__(self, app: ASGIApp, middleware: LLMMeshMiddleware, options: ViewOptions) -> None:
        self._app = app
        self._middleware = middleware
        self._options = options

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection scope (ASGI 3.0)."""
        if scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        server = scope.get("server")
        if self._view is not None and server is not None and server[1] == self._options.port:
            return self._view(scope, receive, send)
        return self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin to watch once the mesh is made, and before the first request."""
        reports: asyncio.Server | None = None

        async def send_and_begin(message: Message) -> None:
            nonlocal reports
            if message["type"] == "lifespan.startup.complete":
                reports = await self._begin()
            await send(message)

        try:
            await self._app(scope, receive, send_and_begin)
        finally:
            if reports is not None:
                reports.close()

    async def _begin(self) -> asyncio.Server | None:
        options = self._options
        peers = None if options.folder is None else PeerReports(options.folder)
        view = MeshView(
            self._middleware.mesh,
            authorize=lambda scope: True,  # anyone who can reach the listener
            hosts=options.hosts,
            trace_url=options.trace_url,
            peers=peers,
        )
        self._view = view
        for signum in (signal.SIGTERM, signal.SIGINT):
            add_handler(signum, asyncio.get_running_loop(), view.end)
        return None if options.folder is None else await serve_reports(view, options.folder)
