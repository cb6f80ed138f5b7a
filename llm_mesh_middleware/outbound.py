"""What every outbound adapter has in common: a call that the application itself makes.

For writers of adapters; applications use the adapters themselves. Whoever calls is this process, so
there is no access to be checked.
"""

from __future__ import annotations

from collections.abc import Iterable

from ._core.flow.reply import Refusal
from ._core.http.request_head import check_body, check_hosts, too_large
from ._core.routing.table import VirtualHost
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest
from ._engine.drivers.delivery import AsyncDelivery, Delivery
from ._forks import ForkLock
from .exceptions import AnswerableError
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
    "VirtualHost",
    "asend",
    "outgoing",
    "send",
]


def outgoing(
    method: str, path: str, fields: Iterable[tuple[bytes, bytes]], body: bytes, *, scheme: str
) -> ClientRequest:
    """A request as the application has made it, its field names in any case."""
    headers = Headers([(name.lower(), value) for name, value in fields])
    return ClientRequest(method, path, headers, body, scheme=scheme)


def send(mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes) -> Delivery:
    """Serve `request` in the calling thread; what goes wrong is an answer too.

    Args:
        mesh: the mesh that has found `host`.
        host: the virtual host that the request is for.
        request: the request, its body complete.
        authority: host and port as the request's URL has them.

    Returns:
        The provider's answer or the mesh's own error object; the caller closes it.
    """
    try:
        _check(mesh, host, request, authority)
        return mesh.send(host, request)
    except AnswerableError as error:
        return Delivery(Refusal(error))


async def asend(
    mesh: Mesh, host: VirtualHost, request: ClientRequest, *, authority: bytes
) -> AsyncDelivery:
    """The asynchronous twin of `send`."""
    try:
        _check(mesh, host, request, authority)
        return await mesh.asend(host, request)
    except AnswerableError as error:
        return AsyncDelivery(Refusal(error))


def _check(mesh: Mesh, host: VirtualHost, request: ClientRequest, authority: bytes) -> None:
    """What an inbound adapter looks at too: the same request has the same answer everywhere."""
    try:
        hosts = request.headers.get_all(b"host")
        if hosts != [authority]:
            check_hosts(hosts, authority)
        max_bytes = mesh.settings.max_request_bytes
        check_body(request.headers, max_bytes)
        if len(request.body) > max_bytes:
            raise too_large(max_bytes)
    except AnswerableError as error:
        mesh.refuse(host, request, error)
        raise
