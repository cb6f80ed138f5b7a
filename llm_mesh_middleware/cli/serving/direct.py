"""The direct way of a plain request into the mesh, without an ASGI scope.

Nearly every request is for a virtual host, from a program, in origin form:

    `%` or `#` in the target, absolute or authority form    the application
    from a web page: has Origin or Sec-Fetch-Site           the application
    not exactly one Host field                              the application
    arrived at the port of the view                         the application
    no virtual host, and no default one                     the application
    anything else                                           the mesh
"""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from ...asgi import ASGIApp, LLMMeshMiddleware, Receive, Scope, Send
from ...inbound import Addressed, ClientRequest, Headers
from ...mesh import Mesh

__all__ = ["Arrival", "Direct", "RequestHead", "Sidecar"]

# A number is found in bytes at a quarter of the price of other bytes.
_SLASH, _PERCENT, _HASH, _QUESTION = b"/%#?"


class Arrival(msgspec.Struct, frozen=True):
    """How the requests of a connection have come; `port` is the local one."""

    scheme: str
    peer: str | None
    port: int | None


class RequestHead(msgspec.Struct, frozen=True):
    """A request's head as the server parsed it."""

    method: str
    target: bytes
    headers: Headers
    http_version: str
    keeps_alive: bool
    arrival: Arrival


class Direct:
    """Finds the virtual host of a plain request, unless the application needs its scope."""

    def __init__(
        self,
        middleware: LLMMeshMiddleware,
        *,
        default_host: str | None = None,
        view_port: int | None = None,
    ) -> None:
        self.inbound, self.interrupts = middleware._inbound, middleware._interrupts
        self._mesh: Mesh | None = None
        self._default_host = (default_host or "").encode()
        self._view_port = view_port

    @property
    def body_limit_s(self) -> float:
        """How long a body may take to arrive."""
        return self.inbound.mesh.settings.request_timeout

    def address(self, head: RequestHead, body: bytes) -> tuple[Addressed, ClientRequest] | None:
        """Return a request and what it addresses, or None if it is for the application."""
        target, headers, arrival = head.target, head.headers, head.arrival
        names = headers.by_name
        if self.inbound.has_callables:
            return None
        if target[0] != _SLASH or _PERCENT in target or _HASH in target:
            return None
        if b"origin" in names or b"sec-fetch-site" in names or head.method == "CONNECT":
            return None
        name = headers.one(b"host") if headers.has_duplicates else names.get(b"host")
        if name is None or (self._view_port is not None and arrival.port == self._view_port):
            return None
        mesh = self._mesh
        if mesh is None:
            mesh = self._mesh = self.inbound.mesh
        path, query = target.decode("latin-1"), ""
        if _QUESTION in target:
            path, _, query = path.partition("?")
        host = mesh.find(name)
        if host is None:
            if not self._default_host or path == "/healthz":
                return None
            host = mesh.find(self._default_host)
            if host is None:
                return None
            name = self._default_host
            others = [field for field in headers.raw if field[0] != b"host"]
            headers = Headers([(b"host", name), *others])
        request = ClientRequest(
            head.method,
            path,
            headers,
            body,
            host=host.name,
            peer=arrival.peer,
            http_version=head.http_version,
            scheme=arrival.scheme,
            is_inbound=True,
            query=query,
        )
        return Addressed(host, (name,), None, path), request


class Sidecar:
    """An ASGI application that `SidecarProtocol` can bypass by `direct`."""

    def __init__(self, app: ASGIApp, direct: Direct) -> None:
        self._app = app
        self.direct = direct

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection scope (ASGI 3.0)."""
        return self._app(scope, receive, send)
