"""The common part of the transports for httpx and httpx2.

A library accepts only its own classes, so each has a module that binds these to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from llm_mesh_middleware.outbound import (
    AsyncDelivery,
    ClientRequest,
    Config,
    Delivery,
    ForkLock,
    Mesh,
    MeshSettings,
    MisspeltHosts,
    asend,
    outgoing,
    send,
)

__all__ = ["AsyncDeliveryStream", "AsyncRouting", "DeliveryStream", "Routing"]

# No `network_stream`: there is no socket.
_EXTENSIONS = {"http_version": b"HTTP/1.1"}


class _URL(Protocol):
    @property
    def scheme(self) -> str: ...
    @property
    def netloc(self) -> bytes: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> bytes: ...


class _Headers(Protocol):
    @property
    def raw(self) -> Sequence[tuple[bytes, bytes]]: ...


class _Request(Protocol):
    """The common interface of both libraries' requests."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> _URL: ...
    @property
    def headers(self) -> _Headers: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


Request = TypeVar("Request", bound=_Request)
Response = TypeVar("Response")


class DeliveryStream:
    """The body of a streamed response."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._delivery)

    def close(self) -> None:
        """Before its end, the provider's connection is closed too."""
        self._delivery.close()


class AsyncDeliveryStream:
    """The asynchronous twin of `DeliveryStream`."""

    def __init__(self, delivery: AsyncDelivery) -> None:
        self._delivery = delivery
        self._body: AsyncGenerator[bytes, None] | None = None

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._body = aiter(self._delivery)
        return self._body

    async def aclose(self) -> None:
        """Before its end, the provider's connection is closed too."""
        if self._body is not None:
            with contextlib.suppress(RuntimeError):  # another task is waiting in it
                await self._body.aclose()
        await self._delivery.aclose()


class _Shared(Generic[Request, Response]):
    """A mesh, and the transport for all other hosts.

    The five types are the library's: its ordinary transport, a request, a response, a whole body
    and a stream.
    """

    transport_type: ClassVar[type[Any]]
    request_type: ClassVar[type[Any]]
    response_type: ClassVar[type[Any]]
    whole_type: ClassVar[type[Any]]
    stream_type: ClassVar[type[Any]]

    def __init__(
        self,
        mesh: Mesh | Config | None = None,
        *,
        transport: Any = None,
        settings: MeshSettings | None = None,
    ) -> None:
        self._is_owner = not isinstance(mesh, Mesh)
        if settings is not None and not self._is_owner:
            raise TypeError("settings are for a new mesh: give them to the Mesh")
        self.mesh: Mesh = mesh if isinstance(mesh, Mesh) else Mesh(mesh, settings=settings)
        self._transport = transport
        self._lock = ForkLock()
        self._misspelt = MisspeltHosts()

    def _known_hosts(self) -> list[str]:
        return [host.name for host in self.mesh.hosts]

    def _other(self) -> Any:
        """Return the ordinary transport; created on first use, as it reads a trust store."""
        with self._lock.of_process:
            if self._transport is None:
                self._transport = self.transport_type()
            return self._transport

    def _check(self, request: object) -> None:
        """Raise TypeError for a client of the other library: its own error would have no words."""
        if not isinstance(request, self.request_type):
            ours, theirs = self.request_type.__module__, type(request).__module__
            raise TypeError(
                f"this transport is for clients of {ours}, and the client is one of {theirs}: "
                "llm_mesh_httpx has those for httpx, llm_mesh_httpx.httpx2 those for httpx2"
            )

    def _respond(self, delivery: Delivery | AsyncDelivery, body: object) -> Response:
        reply = delivery.reply
        response: Response = self.response_type(
            reply.status, headers=reply.headers, stream=body, extensions=_EXTENSIONS
        )
        return response


class Routing(_Shared[Request, Response]):
    """Serves requests to virtual hosts by the mesh, in the calling thread."""

    if not TYPE_CHECKING:  # type checkers would believe in every name

        def __getattr__(self, name: str) -> Any:
            raise _no_attribute(self, name, _OF_ASYNC_CLIENTS, "AsyncMeshTransport")

    def handle_request(self, request: Request) -> Response:
        """Answer one request."""
        self._check(request)
        authority = request.url.netloc
        host = self.mesh.find(authority)
        if host is None:
            self._misspelt.check(authority, self._known_hosts)
            answer: Response = (self._transport or self._other()).handle_request(request)
            return answer
        delivery = send(
            self.mesh, host, _client_request(request, request.read()), authority=authority
        )
        if delivery.reply.is_stream:
            return self._respond(delivery, self.stream_type(delivery))
        body = delivery.take()
        delivery.close()
        return self._respond(delivery, self.whole_type(body))

    def close(self) -> None:
        """Close the connections, but not those of a mesh that was given: it may be shared."""
        if self._transport is not None:
            self._transport.close()
        if self._is_owner:
            self.mesh.close()


class AsyncRouting(_Shared[Request, Response]):
    """Serves requests to virtual hosts by the mesh, in the running event loop."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _no_attribute(self, name, _OF_CLIENTS, "MeshTransport")

    async def handle_async_request(self, request: Request) -> Response:
        """Answer one request."""
        self._check(request)
        authority = request.url.netloc
        host = self.mesh.find(authority)
        if host is None:
            self._misspelt.check(authority, self._known_hosts)
            transport = self._transport or self._other()
            answer: Response = await transport.handle_async_request(request)
            return answer
        client_request = _client_request(request, await request.aread())
        delivery = await asend(self.mesh, host, client_request, authority=authority)
        if delivery.reply.is_stream:
            return self._respond(delivery, self.stream_type(delivery))
        body = delivery.take()
        await delivery.aclose()
        return self._respond(delivery, self.whole_type(body))

    async def aclose(self) -> None:
        """Close the connections, but not those of a mesh that was given: it may be shared."""
        if self._transport is not None:
            await self._transport.aclose()
        if self._is_owner:
            await self.mesh.aclose()


# What each kind of client calls.
_OF_CLIENTS = frozenset(("handle_request", "__enter__", "close"))
_OF_ASYNC_CLIENTS = frozenset(("handle_async_request", "__aenter__", "aclose"))


def _no_attribute(
    owner: object, name: str, of_others: Collection[str], twin: str
) -> AttributeError:
    """Return the error for an attribute that is missing, with advice if its twin has it."""
    advice = f"; for this client use {twin}" if name in of_others else ""
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{advice}")


def _client_request(request: _Request, body: bytes) -> ClientRequest:
    url = request.url
    return outgoing(
        request.method,
        url.path,
        request.headers.raw,
        body,
        scheme=url.scheme,
        query=url.query.decode("latin-1"),
    )
