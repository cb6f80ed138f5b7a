"""The reply to a question for a count of tokens that no provider of the rule can answer."""

from __future__ import annotations

from ..dialect import ServedOperation
from ..routing.table import RouteRule
from ..values.messages import ClientRequest
from .reply import Reply

__all__ = ["estimate"]


def estimate(rule: RouteRule, operation: ServedOperation, request: ClientRequest) -> Reply | None:
    """Return a reply that says it is an estimate; None if a provider can be asked.

    Raises:
        RequestError: the request cannot be read.
    """
    if operation.write_estimate is None or rule.backends.serving(operation):
        return None
    body = operation.write_estimate(request)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-llm-mesh-estimated", b"input_tokens"),
    ]
    return Reply(200, headers, body)
