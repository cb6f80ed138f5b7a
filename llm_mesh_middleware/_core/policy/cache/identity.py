"""The identity of requests: equal ones become the same request to each provider of the rule.

    client's request, in any dialect ──> a provider's request ──> target, features, body

So clients of several dialects share entries, and a guard's masks, the mapped model and the default
fields are part of the identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....exceptions import AnswerableError
from ...caching.key import canonical_body
from ...dialect import ServedOperation
from ...provider.upstream import Upstream
from ...values.messages import ClientRequest

__all__ = ["features_of", "provider_requests"]

# Header fields that change a provider's behaviour.
_FEATURES = frozenset((b"anthropic-beta", b"anthropic-version", b"openai-beta"))


def provider_requests(
    upstreams: Sequence[Upstream],
    request: ClientRequest,
    operation: ServedOperation,
    left_out: frozenset[str],
) -> list[str | bytes | None] | None:
    """Return the requests to the providers of a rule; None if one cannot be made.

    Args:
        upstreams: the providers, asked for JSON; those that do not serve the operation are skipped.
        request: the client's request, after the guards.
        operation: its operation.
        left_out: members of the body that do not change the response.
    """
    form = operation.whole_form or operation
    try:
        parts = [
            part
            for upstream in upstreams
            if form in upstream.targets
            for part in _asked(upstream, request, form, left_out)
        ]
    except AnswerableError:  # reported when the call is made
        return None
    return parts if parts and None not in parts else None


def features_of(request: ClientRequest) -> Iterator[bytes]:
    """Yield the names and values of those fields of a request."""
    for name, value in request.headers:
        if name in _FEATURES:
            yield name
            yield value


def _asked(
    upstream: Upstream,
    request: ClientRequest,
    operation: ServedOperation,
    left_out: frozenset[str],
) -> Iterator[str | bytes | None]:
    asked = upstream.transformer(request, operation)
    yield asked.dialect
    yield asked.target
    sent = asked.headers(tuple([field for field in request.headers if field[0] in _FEATURES]))
    for name, value in sent:
        yield name
        yield value
    yield canonical_body(asked.body(), left_out)
