"""The app of `llm-mesh serve`: health checks, unknown hosts, start and shutdown."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from collections.abc import Callable

from ..._core.http.hosts import normalise_host
from ..._core.values.messages import error_object
from ..._mesh.seldom import Seldom
from ...asgi import LLMMeshMiddleware, Receive, Scope, Send
from ...inbound import Headers, split_target
from ...mesh import Mesh, MeshStatus
from .log import BufferedHandler
from .signals import handle_signals

__all__ = ["OwnApp"]

logger = logging.getLogger("llm_mesh_middleware")

# Clients do not show the body of such a response, so it is also logged.
_NO_TUNNEL = "call virtual hosts by http://, and do not set https_proxy to this mesh"

_MAX_HOSTS = 20
_MAX_HOST = 100


class OwnApp:
    """The application behind the middleware; it gets requests for other hosts."""

    middleware: LLMMeshMiddleware

    def __init__(
        self,
        end_telemetry: Callable[[], None],
        log: BufferedHandler,
        *,
        grace_s: float,
        default_host: str | None = None,
    ) -> None:
        self._default_host = (default_host or "").encode()
        self._end_telemetry = end_telemetry
        self._log = log
        self._grace_s = grace_s
        self._warnings = Seldom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3.0)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and self._is_for_default_host(scope):
            await self.middleware(_addressed(scope, self._default_host), receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, send)

    def _is_for_default_host(self, scope: Scope) -> bool:
        """Return whether a request is for the default host.

        A proxied request is not: its target names another host.
        """
        return (
            bool(self._default_host)
            and scope["path"].startswith("/")
            and scope["path"] != "/healthz"
            and self.middleware.mesh.find(self._default_host) is not None
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        """Run start and shutdown, when every request has ended and is recorded.

        `atexit` would not run: uvicorn ends the process by the signal that it received.
        """
        await receive()
        self._log.follow(asyncio.get_running_loop())
        _spare_collector()
        handle_signals(self.middleware, grace_s=self._grace_s)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._end_telemetry)
        self._log.end()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, send: Send) -> None:
        mesh, method = self.middleware.mesh, scope["method"]
        authority, path = split_target(method, scope["path"])
        headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
        if method == "CONNECT":
            status, body = 405, _refusal(self._no_tunnel(authority), "method_not_allowed")
            headers += [(b"allow", b"GET, POST"), (b"connection", b"close")]
        elif path == "/healthz" and method in ("GET", "HEAD"):
            status, body = 200, _health(mesh.status())
            headers += [(b"cache-control", b"no-store")]
        else:
            message = self._not_found(mesh, scope, authority)
            status, body = 404, _refusal(message, "route_not_found")
        headers += [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _no_tunnel(self, authority: bytes | None) -> str:
        """Return a message for a client that has a proxy for https:// URLs; log it, too."""
        message = f"no tunnel is opened to {_shown(authority or b'')}: {_NO_TUNNEL}"
        if self._warnings.allows(message, time.monotonic()):
            logger.warning("%s", message)
        return message

    def _not_found(self, mesh: Mesh, scope: Scope, authority: bytes | None) -> str:
        """Return a message with the requested host and, for admitted clients, the known hosts."""
        headers = Headers(scope["headers"])
        asked = _shown(authority if authority is not None else headers.get("host") or "")
        known = _listed(mesh)
        if self._warnings.allows(asked, time.monotonic()):
            logger.warning("no virtual host %s; this mesh serves %s", asked, known)
        message = f"no virtual LLM host {asked} here"
        peer = scope.get("client")
        if mesh.access.is_open_to(peer[0] if peer else None, headers):  # not for everybody
            message += f"; this mesh serves {known}"
        if authority is None:
            return message
        # A client with `http_proxy` sends all of its requests here.
        return f"{message}. To call {asked} without the mesh, add it to the client's no_proxy"


def _spare_collector() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often.

    A request leaves no cycles. Without this, collections took a seventh of a busy process's CPU.
    The garbage of the start is frozen with the rest: to find its 200 objects among 60,000 took 5 %
    of the start.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


def _addressed(scope: Scope, host: bytes) -> Scope:
    """Return the scope of the same request to another host."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "headers": [(b"host", host), *headers]}


def _shown(host: bytes | str) -> str:
    """Return a client's host for a message; text that is not a host is not repeated."""
    raw = host if isinstance(host, bytes) else host.encode("latin-1")
    name = normalise_host(raw[: _MAX_HOST * 4])
    return repr(name[:_MAX_HOST]) if name is not None else "of that name"


def _listed(mesh: Mesh) -> str:
    names = [host.name for host in mesh.hosts]
    more = f" and {len(names) - _MAX_HOSTS} more" if len(names) > _MAX_HOSTS else ""
    return (", ".join(names[:_MAX_HOSTS]) or "none") + more


def _health(status: MeshStatus) -> bytes:
    """Return the health, always with status 200: a restart would not fix a stale configuration."""
    problems = [
        {"place": problem.place, "text": problem.text, "severity": problem.severity}
        for problem in status.problems
    ]
    health = {"status": status.state, "generation": status.generation, "problems": problems}
    return json.dumps(health, separators=(",", ":")).encode()


def _refusal(message: str, code: str) -> bytes:
    return error_object(message, type="invalid_request_error", code=code)
