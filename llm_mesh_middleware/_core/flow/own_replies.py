"""Replies that the mesh makes without calling a provider.

GET /models ──► from the configuration: a provider would list its own models, whatever names the
                rules of the route use
token count ──► estimated, if no provider of the rule can count
"""

from __future__ import annotations

from ...exceptions import ModelNotFound
from ..dialect import ServedOperation
from ..routing.naming import has_one_provider, known_models
from ..routing.table import RouteRule, VirtualHost
from ..values.messages import ClientRequest
from .reply import Reply

__all__ = ["estimate", "list_models"]


def list_models(
    host: VirtualHost, operation: ServedOperation, request: ClientRequest
) -> Reply | None:
    """Return the reply; None to forward the request to the host's only provider.

    Raises:
        ModelNotFound: the request names one model, and no rule knows it.
    """
    names = known_models(host, request)
    if operation.write_models is None:
        return None
    if not names and has_one_provider(host):
        operation.check_method(request.method, allow_head=False)
        return None
    body = operation.write_models(request.headers, request.path, names)
    if body is None:
        raise ModelNotFound(f"no rule of route {host.route!r} knows this model")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return Reply(200, headers, b"" if request.method == "HEAD" else body)


def estimate(rule: RouteRule, operation: ServedOperation, request: ClientRequest) -> Reply | None:
    """Return a reply that is marked as an estimate; None if a provider can count.

    Raises:
        RequestError: the request cannot be read.
    """
    if operation.counting is None or rule.backends.serving(operation):
        return None
    body, member = operation.counting.estimate(request)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-llm-mesh-estimated", member),
    ]
    return Reply(200, headers, body)
