"""A request from its head to its reply: address, admit, read, serve.

    address   which virtual host a request head names, if any
    serve     hosts agree -> access -> body's length -> attributes -> body -> exchange
              an error becomes a reply in the client's dialect

All adapters use these; they differ in how they read and write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from ...exceptions import AnswerableError
from ..http.request_head import check_body, check_hosts, too_large
from ..private import PerCall
from ..routing.table import VirtualHost
from ..values.messages import ClientRequest
from ..values.steps import Ask, AsyncPort, Port, Refused, ask
from .policies import Policy
from .reply import Flow, Reply, refusal

__all__ = ["Addressed", "Entrance", "address", "serve"]


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


class Entrance(msgspec.Struct, frozen=True):
    """The parts of a mesh that an adapter needs to serve its requests.

    `access` is the first policy, None for the application's own calls. `attributes` returns the
    application's attributes of a request. `refused` is notified of a refused request, and `proceed`
    is the exchange, which gets `keepalive_s`: the longest silence of a stream, 0 for no limit.
    """

    access: Policy | None
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
    return _Serving(entrance, addressed, body).run(request)


class _Serving(PerCall):
    _entrance: Entrance
    _addressed: Addressed
    _body: Port | AsyncPort | None
    _has_begun: bool = False

    def run(self, request: ClientRequest) -> Flow:
        addressed, access = self._addressed, self._entrance.access
        try:
            if addressed.authority is not None or len(addressed.hosts) > 1:
                check_hosts(addressed.hosts, addressed.authority)
            if access is None:
                return (yield from self._admitted(request))
            return (yield from access(request, self._admitted))
        except AnswerableError as error:
            if not self._has_begun:  # otherwise the exchange has notified observers
                self._entrance.refused(addressed.host, request, error)
            error.__traceback__ = None  # its frames hold it: a cycle for the garbage collector
            return addressed.refusal(error)

    def _admitted(self, request: ClientRequest) -> Flow:
        """Return the flow of an admitted request, that of the exchange if nothing is missing."""
        check_body(request.headers, self._entrance.max_request_bytes)
        if self._body is None and self._entrance.attributes is None:
            return self._complete(request)
        return self._completed(request)

    def _completed(self, request: ClientRequest) -> Flow:
        if self._entrance.attributes is not None:
            facts = yield from ask(self._entrance.attributes, request.native)
            # The consumer of the client key overrides the application's attributes.
            request = replace(request, attributes={**facts, **request.attributes})
        if self._body is not None:
            # Without `ask`: this path is hot.
            body = yield Ask(self._body, self._entrance.max_request_bytes)
            if body.__class__ is Refused:
                raise body.error
            request = replace(request, body=body, host=self._addressed.host.name)
        return (yield from self._complete(request))

    def _complete(self, request: ClientRequest) -> Flow:
        entrance = self._entrance
        if len(request.body) > entrance.max_request_bytes:
            raise too_large(entrance.max_request_bytes)
        self._has_begun = True
        return entrance.proceed(self._addressed.host, request, entrance.keepalive_s)
