"""The models that a client can name on a virtual host, as far as the configuration lists them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..values.messages import ClientRequest
from .matching import Condition, Exact, Match
from .table import RouteRule, VirtualHost

__all__ = ["known_models", "has_one_provider"]

# The subjects that a request for the list shares with later calls.
_LASTING = frozenset(("header", "attribute"))


def known_models(host: VirtualHost, request: ClientRequest) -> tuple[str, ...]:
    """Return the models named by rules that apply to this client, in the order of the rules.

    A backend without a configured model accepts any name, so there may be more.
    """
    return tuple(dict.fromkeys(_names(host, request)))


def has_one_provider(host: VirtualHost) -> bool:
    """Return whether all requests to the host go to one provider, whose list applies."""
    backends = (backend for rule in host.rules for backend in rule.backends)
    return len({backend.upstream.identity for backend in backends}) == 1


def _names(host: VirtualHost, request: ClientRequest) -> Iterator[str]:
    for rule in host.rules:
        for match in rule.matches:
            if match.excluded is None and _is_for(match, request):
                yield from _named(rule, match)
                if all(condition.kind in _LASTING for condition in match.conditions):
                    return  # it matches every call of this client


def _is_for(match: Match, request: ClientRequest) -> bool:
    return all(each.holds(request) for each in match.conditions if each.kind in _LASTING)


def _named(rule: RouteRule, match: Match) -> Iterator[str]:
    wanted = [condition for condition in match.conditions if condition.kind == "model"]
    exact = [each.test.value for each in wanted if isinstance(each.test, Exact)]
    if exact:
        yield from exact
        return
    yield from (name for name in _configured(rule) if _pass(wanted, name))


def _pass(wanted: Sequence[Condition], name: str) -> bool:
    return all(condition.test(name) for condition in wanted)


def _configured(rule: RouteRule) -> Iterator[str]:
    for backend in rule.backends:
        upstream = backend.upstream
        if upstream.model is not None:
            yield upstream.model
        else:
            yield from filter(None, upstream.model_mapping)
            yield from () if upstream.rewrites is None else upstream.rewrites.exact
