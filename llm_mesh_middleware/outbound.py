"""What every outbound adapter has in common: a call that the application itself makes.

For writers of adapters; applications use the adapters themselves. The caller is this process, so
there is no access to check.
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
    """Return a request as the application has made it, its field names in any case."""
    headers = Headers([(name.lower(), value) for name, value in fields])
    return ClientRequest(method, path, headers, body, scheme=scheme, query=query)


def send(mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes) -> Delivery:
    """Serve `request` in the calling thread; an error is a reply too.

    Args:
        mesh: the mesh that found `host`.
        host: the virtual host that the request is for.
        request: the request, its body complete.
        authority: host and port as the request's URL has them.

    Returns:
        The provider's response or the mesh's own error object; the caller closes it.
    """
    serving = mesh._serving
    return serving.run(serving.outgoing(_addressed(host, request, authority), request))


async def asend(
    mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes
) -> AsyncDelivery:
    """The asynchronous twin of `send`."""
    serving = mesh._serving
    return await serving.arun(serving.outgoing(_addressed(host, request, authority), request))


def _addressed(host: VirtualHost, request: ClientRequest, authority: bytes) -> Addressed:
    hosts = request.headers.get_all(b"host")
    return Addressed(host, hosts, None if list(hosts) == [authority] else authority, request.path)
