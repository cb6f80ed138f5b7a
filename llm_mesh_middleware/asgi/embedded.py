"""Serving requests that an asynchronous framework has read already: an ASGI scope and a body.

For writers of adapters; applications use the adapters themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .._core.routing.table import VirtualHost
from ..exceptions import AccessDenied, AnswerableError, InvalidClientKey
from ..inbound import ClientRequest, Headers, check_body, check_hosts, split_target, too_large
from ..mesh import Mesh
from .reply import AsyncAnswer, make_answer, refused

__all__ = ["Addressed", "AsyncInbound"]

Native = TypeVar("Native")
Scope = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Addressed:
    """A request for a virtual host: its scope, whom it names, the path below the mount point."""

    scope: Scope
    host: VirtualHost
    hosts: list[bytes]
    authority: bytes | None
    path: str


class AsyncInbound(Generic[Native]):
    """The mesh behind an adapter, and the application's own word on a request.

    `Native` is what the framework calls a request.
    """

    def __init__(
        self,
        mesh: Mesh,
        *,
        attributes: Callable[[Native], Awaitable[Mapping[str, str]]] | None = None,
        authorize: Callable[[Native], Awaitable[bool]] | None = None,
    ) -> None:
        """As `Inbound`, with coroutine functions; they are called for the mesh's requests only."""
        self._mesh = mesh
        self._attributes = attributes
        self._authorize = authorize

    def find(self, scope: Scope) -> Addressed | None:
        """Whom the request is for; None if it is not the mesh's."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        find, path = self._mesh.find, scope["path"]
        if len(hosts) == 1 and path[:1] == "/" and find(hosts[0]) is None:
            return None
        # Servers put `root_path` before an absolute target too.
        path = path.removeprefix(scope.get("root_path", "")) or "/"
        authority, path = split_target(scope["method"], path)
        named = hosts if authority is None else [*hosts, authority]
        found = [host for host in map(find, named) if host is not None]
        return Addressed(scope, found[0], hosts, authority, path) if found else None

    async def answer(
        self, addressed: Addressed, native: Native, read: Callable[[int], bytes]
    ) -> AsyncAnswer:
        """The answer to a request that `find` has found; it must be closed on every path.

        Args:
            addressed: what `find` returned.
            native: the request as the framework has it, for the application's callables.
            read: at most so many bytes of the body.
        """
        request = _request(addressed)
        try:
            check_hosts(addressed.hosts, addressed.authority)
            request.attributes = await self._admit(native, request)
            request.body = self._read_body(read)
        except AnswerableError as error:
            self._mesh.refuse(addressed.host, request, error)
            return refused(error)
        return await make_answer(self._mesh, addressed.host, request)

    async def _admit(self, native: Native, request: ClientRequest) -> Mapping[str, str]:
        """As `Inbound.admit`."""
        consumer = await self._consumer(native, request)
        check_body(request.headers, self._mesh.settings.max_request_bytes)
        facts = dict(await self._attributes(native)) if self._attributes is not None else {}
        if consumer is not None:
            facts["consumer"] = consumer
        return facts

    async def _consumer(self, native: Native, request: ClientRequest) -> str | None:
        """The application is asked only if its word decides."""
        try:
            return self._mesh.access.admit(request.peer, request.headers)
        except (AccessDenied, InvalidClientKey):
            if self._authorize is None or not await self._authorize(native):
                raise
            return None

    def _read_body(self, read: Callable[[int], bytes]) -> bytes:
        max_bytes = self._mesh.settings.max_request_bytes
        body = read(max_bytes + 1)
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        return body


def _request(addressed: Addressed) -> ClientRequest:
    """What is known of a request before its body."""
    scope = addressed.scope
    client = scope.get("client")
    return ClientRequest(
        scope["method"],
        addressed.path,
        Headers(scope["headers"]),
        peer=client[0] if client else None,
        http_version=scope["http_version"],
        scheme=scope.get("scheme", "http"),
        is_inbound=True,
    )
