"""The identity of requests: two are equal if each provider of the rule would be asked the same.

    client's request, of whatever dialect ──> a provider's request ──> target, features, body

So clients of several dialects share, and a guard's mask, a mapped model and a default are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....exceptions import AnswerableError
from ...caching.key import canonical_body
from ...dialect import ServedOperation
from ...provider.upstream import Upstream
from ...values.messages import ClientRequest

__all__ = ["asked_of"]

# Fields of requests that change what a provider does with the same body.
_FEATURES = frozenset((b"anthropic-beta", b"anthropic-version", b"openai-beta"))


def asked_of(
    upstreams: Sequence[Upstream],
    request: ClientRequest,
    operation: ServedOperation,
    left_out: frozenset[str],
) -> list[str | bytes | None] | None:
    """Return what the providers of a rule would be asked; None if that cannot be told.

    Args:
        upstreams: the providers, asked for JSON; those that do not serve the operation are skipped.
        request: the client's, as the guards have left it.
        operation: what it asks for.
        left_out: members of the body that make no difference.
    """
    form = operation.whole_form or operation
    try:
        parts = [
            part
            for upstream in upstreams
            if form in upstream.targets
            for part in _asked(upstream, request, form, left_out)
        ]
    except AnswerableError:  # told when the call is made
        return None
    return parts if parts and None not in parts else None


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
