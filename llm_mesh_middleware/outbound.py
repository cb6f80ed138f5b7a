"""The common part of outbound adapters: the application's own calls.

For writers of adapters; applications use the adapters themselves. The caller is this process, so
access is not checked.
"""

from __future__ import annotations

from collections.abc import Iterable

from ._core.flow.serving import Addressed
from ._core.routing.table import VirtualHost
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._engine.drivers.delivery import AsyncDelivery, Delivery
from ._mesh.notices import MisspeltHosts
from ._process.forks import ForkLock
from .mesh import Config, Mesh
from .settings import MeshSettings

__all__ = [
    "AsyncDelivery",
    "ClientRequest",
    "Config",
    "Delivery",
    "ForkLock",
    "Headers",
    "Mesh",
    "MeshSettings",
    "MisspeltHosts",
    "VirtualHost",
    "asend",
    "outgoing",
    "send",
]


def outgoing(
    method: str,
    path: str,
    fields: Iterable[tuple[bytes, bytes]],
    body: bytes,
    *,
    scheme: str,
    query: str = "",
) -> ClientRequest:
    """Return the request for the application's call; field names may be in any case."""
    headers = Headers([(name.lower(), value) for name, value in fields])
    return ClientRequest(method, path, headers, body, scheme=scheme, query=query)


def send(mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes) -> Delivery:
    """Serve `request` in the calling thread; an error becomes a reply.

    Args:
        mesh: the mesh that found `host`.
        host: the virtual host that the request addresses.
        request: the request, its body complete.
        authority: host and port of the request's URL.

    Returns:
        The reply to deliver; the caller closes it.
    """
    serving = mesh._serving
    return serving.run(serving.outgoing(_addressed(host, request, authority), request))


async def asend(
    mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes
) -> AsyncDelivery:
    """Send a request; the asynchronous twin of `send`."""
    serving = mesh._serving
    return await serving.arun(serving.outgoing(_addressed(host, request, authority), request))


def _addressed(host: VirtualHost, request: ClientRequest, authority: bytes) -> Addressed:
    hosts = request.headers.get_all(b"host")
    return Addressed(host, hosts, None if list(hosts) == [authority] else authority, request.path)
