"""A request from its head to its reply: address, admit, read, serve.

    address   which virtual host a request head names, if any
    serve     hosts agree -> access -> body's length -> attributes -> body -> exchange
              an error becomes a reply in the client's dialect

All adapters use these; they differ in how they read and write.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from ...exceptions import AnswerableError
from ..http.request_head import check_body, check_hosts, too_large
from ..routing.table import VirtualHost
from ..values.messages import ClientRequest
from ..values.steps import Ask, AsyncPort, Port, Refused, Step, StepResult, ask
from .reply import Flow, Reply, refusal

__all__ = ["Access", "Addressed", "Entrance", "address", "serve"]


class Addressed(msgspec.Struct, frozen=True, gc=False):
    """A request head that names a virtual host: all host names it contains, and the path."""

    host: VirtualHost
    hosts: Sequence[bytes]
    authority: bytes | None
    path: str

    def refusal(self, error: AnswerableError) -> Reply:
        """Return the reply to a request that is not served, in the form that its path names."""
        return refusal(error, self.host.operation(self.path))


def address(
    find: Callable[[bytes], VirtualHost | None],
    hosts: Sequence[bytes],
    authority: bytes | None,
    path: str,
) -> Addressed | None:
    """Find the virtual host that a request head addresses, or None.

    Args:
        find: looks up a raw Host value.
        hosts: every Host field.
        authority: the authority of the request target, if it has one.
        path: the path of the request target, without a mount point.
    """
    for name in hosts if authority is None else (*hosts, authority):
        host = find(name)
        if host is not None:
            return Addressed(host, hosts, authority, path)
    return None


class Access(Protocol):
    """Decides who may use the mesh; immutable."""

    def admit(
        self, request: ClientRequest
    ) -> ClientRequest | Generator[Step, StepResult, ClientRequest]:
        """Return the request with what is known of its client, or how to find out if it may pass.

        Raises:
            RequestError: it may not.
        """


class Entrance(msgspec.Struct, frozen=True):
    """The parts of a mesh that an adapter needs to serve its requests.

    `access` is asked first; None for the application's own calls. `attributes` returns the
    application's attributes of a request. `refused` is notified of a refused request, and `proceed`
    is the exchange, which gets `keepalive_s`: the longest silence of a stream, 0 for no limit.
    """

    access: Access | None
    attributes: Port | AsyncPort | None
    max_request_bytes: int
    refused: Callable[[VirtualHost, ClientRequest, AnswerableError], None]
    proceed: Callable[[VirtualHost, ClientRequest, float], Flow]
    keepalive_s: float


def serve(
    entrance: Entrance, addressed: Addressed, request: ClientRequest, body: Port | AsyncPort | None
) -> Flow:
    """Admit `request`, read its body and serve it; an error becomes a reply.

    Args:
        entrance: the adapter's.
        addressed: what `address` returned for the request.
        request: the request before its body is read.
        body: returns the body, given its maximum size; None if `request` has it.
    """
    max_bytes, has_begun = entrance.max_request_bytes, False
    try:
        if addressed.authority is not None or len(addressed.hosts) > 1:
            check_hosts(addressed.hosts, addressed.authority)
        if entrance.access is not None:
            admitted = entrance.access.admit(request)
            request = admitted if isinstance(admitted, ClientRequest) else (yield from admitted)
        check_body(request.headers, max_bytes)
        if entrance.attributes is not None:
            facts = yield from ask(entrance.attributes, request.native)
            # The consumer of the client key overrides the application's attributes.
            request = replace(request, attributes={**facts, **request.attributes})
        if body is not None:
            data = yield Ask(body, max_bytes)  # without `ask`: this path is hot
            if data.__class__ is Refused:
                raise data.error
            request = replace(request, body=data, host=addressed.host.name)
        if len(request.body) > max_bytes:
            raise too_large(max_bytes)
        has_begun = True  # from now on the exchange notifies observers
        return (yield from entrance.proceed(addressed.host, request, entrance.keepalive_s))
    except AnswerableError as error:
        if not has_begun:
            entrance.refused(addressed.host, request, error)
        error.__traceback__ = None  # its frames hold it: a cycle for the garbage collector
        return addressed.refusal(error)
