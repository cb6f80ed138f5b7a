"""The policies of a rule in an explanation; each policy explains itself."""

from __future__ import annotations

from collections.abc import Iterator

from ..dialect import ServedOperation
from ..routing.table import RouteRule
from ..values.decision import Changes, Explains
from ..values.messages import ClientRequest
from .findings import PolicyExplanation

__all__ = ["policies_of"]


def policies_of(
    rule: RouteRule, request: ClientRequest, operation: ServedOperation, now: float
) -> Iterator[PolicyExplanation]:
    """Yield the items around the call, outermost first, then those of attempts by backend."""
    layers: list[tuple[object, str]] = [(layer, "") for layer in rule.policies]
    for tier in rule.backends.serving(operation):
        layers += [(backend.policy, backend.upstream.provider) for backend in tier]
    for layer, provider in layers:
        if isinstance(layer, Explains):
            for item in layer.explain(request, provider, now):
                yield PolicyExplanation(
                    item.policy, item.item, item.kind, item.holds, item.text, item.provider
                )
        if isinstance(layer, Changes):
            request = layer.changed(request)
