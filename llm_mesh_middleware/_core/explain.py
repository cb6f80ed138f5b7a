"""How a request would be routed, and why not otherwise, without sending anything.

Everything is decided by the objects that serve requests; here it is only told what they decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..exceptions import AnswerableError, NoRouteMatched
from .attempt import call_headers
from .balancing import Backend, weighted_pick
from .exchange import read_operation
from .explanation import (
    BackendExplanation,
    BodyChange,
    Explanation,
    Refusal,
    RuleExplanation,
    StickyKey,
)
from .headers import ForwardPolicy
from .masking import MASK, Mask, is_credential, known_secrets
from .matching import Condition, Exact, Match, Prefix, Regex, read_subject
from .messages import ClientRequest
from .operations import Operation
from .payload import Fields, decode_fields
from .plan import serving_tiers
from .routing import RouteRule, RoutingTable, VirtualHost
from .upstream import Upstream

__all__ = ["explain"]

_FIELDS = {"header": "headers", "attribute": "attributes"}
_PORTS = {"http": 80, "https": 443}
# Fields of a call that the mesh fills in itself, with nothing private in them.
_PLAIN_HEADERS = frozenset(("accept-encoding", "content-type", "host"))
# Members of a body that are shown as they are; any other text may be private.
_PLAIN_MEMBERS = frozenset(("model", "stream", "stream_options"))
_PLAIN_QUERY = frozenset(("api-version",))
_SCALARS = (b"true", b"false", b"null")
_MAX_VALUE = 120


def explain(
    table: RoutingTable,
    request: ClientRequest,
    *,
    forward: ForwardPolicy,
    secrets: Iterable[str] = (),
) -> Explanation:
    """Hold a request against the routing table.

    Args:
        table: the routing table.
        request: the request; `host` is what it calls. A method of "" is the operation's own.
        forward: which of its fields go upstream.
        secrets: texts that must not be shown, beside the keys of the table.
    """
    mask = Mask((*known_secrets(table), *secrets))
    host = table.find(request.host.encode("utf-8", "replace"))
    if host is None:
        known = ", ".join(host.name for host in table.hosts) or "none"
        message = f"{request.host!r} is no virtual host of this mesh; known: {known}"
        refusal = Refusal(NoRouteMatched.status, NoRouteMatched.code, message)
        explained = Explanation(request.method or "POST", request.host, request.path)
        return _told(explained, mask, refusal=refusal)
    if not request.method:
        operation = host.operation(request.path)
        request.method = operation.method if operation is not None else "POST"
    return _Explainer(host, request, forward, mask).explain()


def _told(explained: Explanation, mask: Mask, **changes: Any) -> Explanation:
    told: Explanation = mask.all(replace(explained, **changes))
    return told


class _Explainer:
    """One request to one virtual host."""

    def __init__(
        self, host: VirtualHost, request: ClientRequest, forward: ForwardPolicy, mask: Mask
    ) -> None:
        self._host = host
        self._request = request
        self._forward = forward
        self._mask = mask

    def explain(self) -> Explanation:
        """As much as can be told up to where the request would be refused."""
        host, request = self._host, self._request
        known: dict[str, Any] = {"virtual_host": host.name, "route": host.route}
        try:
            operation = read_operation(host, request)
            known["operation"] = operation.name
            known["rules"] = self._rules()
            rule = host.select(request).rule
            known |= {"rule": rule.name, "retry": rule.retry, "timeouts": rule.timeouts}
            known["sticky"] = self._sticky(rule)
            known["backends"] = tuple(self._backends(rule, operation))
        except AnswerableError as error:
            known["refusal"] = Refusal(error.status, error.code, error.message)
        explained = Explanation(request.method, request.host, request.path)
        return _told(explained, self._mask, **known)

    def _rules(self) -> tuple[RuleExplanation, ...]:
        explained: list[RuleExplanation] = []
        winner: str | None = None
        for rule in self._host.rules:
            reasons = tuple(self._reasons(rule))
            if not rule.holds(self._request):
                explained.append(RuleExplanation(rule.name, "lost", reasons))
            elif winner is None:
                winner = rule.name
                explained.append(RuleExplanation(rule.name, "won", reasons))
            else:
                earlier = (f"holds too, but {winner} stands before it",)
                explained.append(RuleExplanation(rule.name, "lost", earlier))
        return tuple(explained)

    def _reasons(self, rule: RouteRule) -> Iterator[str]:
        """What makes the rule hold, or everything that keeps its matches from it."""
        for index, match in enumerate(rule.matches):
            if match.holds(self._request):
                held = ", ".join(map(self._wanted, match.conditions))
                yield f"matches[{index}] holds: {held}" if held else "takes every request"
                return
        for index, match in enumerate(rule.matches):
            yield from (f"matches[{index}]{unmet}" for unmet in self._unmet(match))

    def _unmet(self, match: Match) -> Iterator[str]:
        if match.excluded is not None:
            yield f": {match.excluded}"
            return
        for condition in match.conditions:
            if not condition.holds(self._request):
                yield f".{self._wanted(condition)}: the request has {self._actual(condition)}"

    def _wanted(self, condition: Condition) -> str:
        """The condition as the manifest has it: `headers.user-type.exact 'subscriber'`."""
        field, test = _field(condition.kind, condition.key), condition.test
        name = condition.key or condition.kind
        match test:
            case Exact(value) | Prefix(value):
                return f"{field}.{type(test).__name__.lower()} {self._mask.quoted(name, value)}"
            case Regex(pattern):
                return f"{field}.regex {self._mask.quoted(name, pattern.pattern)}"
        return f"{field} {{}}"

    def _actual(self, condition: Condition) -> str:
        value = read_subject(condition.kind, condition.key, self._request)
        if value is None:
            return "none"
        return self._mask.quoted(condition.key or condition.kind, value)

    def _sticky(self, rule: RouteRule) -> StickyKey | None:
        if rule.sticky_by is None:
            return None
        kind, name = rule.sticky_by
        value = rule.sticky_key(self._request)
        return StickyKey(f"{kind} {name}", MASK if value and is_credential(name) else value)

    def _backends(self, rule: RouteRule, operation: Operation) -> Iterator[BackendExplanation]:
        sticky_key = rule.sticky_key(self._request)
        for tier in serving_tiers(operation, rule.backends):
            # Without a key there is no choice yet, so no random number is asked for.
            chosen = tier[0]
            if sticky_key is not None:
                chosen = weighted_pick(tier, _no_random, sticky_key)
            total = sum(backend.weight for backend in tier)
            for backend in tier:
                share = 1.0 if len(tier) == 1 else backend.weight / total
                is_choice = sticky_key is not None and backend is chosen and len(tier) > 1
                yield self._backend(backend, operation, share=share, is_sticky_choice=is_choice)

    def _backend(
        self, backend: Backend, operation: Operation, *, share: float, is_sticky_choice: bool
    ) -> BackendExplanation:
        upstream, request = backend.upstream, self._request
        transformer = upstream.dialect(request, operation, upstream)
        sent = decode_fields(transformer.body()) if operation.has_body else {}
        return BackendExplanation(
            provider=upstream.provider,
            host=upstream.host,
            priority=backend.priority,
            weight=backend.weight,
            share=share,
            is_sticky_choice=is_sticky_choice,
            model=transformer.model,
            method=operation.method,
            url=_url(upstream, operation),
            connects_to=_connects_to(upstream),
            headers=tuple(self._headers(upstream)),
            body=tuple(self._changes(sent)),
        )

    def _headers(self, upstream: Upstream) -> Iterator[tuple[str, str]]:
        """What is configured is shown by name alone, whatever it was read from."""
        configured = len(upstream.headers)
        fields = call_headers(upstream, self._request.headers, self._forward)
        for index, field in enumerate(fields):
            name, value = (text.decode("latin-1") for text in field)
            if index >= configured:
                yield name, MASK if is_credential(name) else value
            elif name in _PLAIN_HEADERS:
                yield name, value
            else:
                yield name, f"Bearer {MASK}" if name == "authorization" else MASK

    def _changes(self, sent: Fields) -> Iterator[BodyChange]:
        asked = self._request.fields
        for name, value in sent.items():
            if name not in asked:
                yield BodyChange(name, "set", _shown_member(name, bytes(value), self._mask))
            elif bytes(asked[name]) != bytes(value):
                yield BodyChange(name, "replaced", _shown_member(name, bytes(value), self._mask))
        for name in asked:
            if name not in sent:
                yield BodyChange(name, "removed", None)


def _no_random() -> float:
    return 0.0  # a key that sticks decides without it


def _field(kind: str, key: str) -> str:
    if kind not in _FIELDS:
        return kind
    is_plain = key.replace("-", "").replace("_", "").isalnum()
    return f"{_FIELDS[kind]}.{key}" if is_plain else f"{_FIELDS[kind]}[{key!r}]"


def _shown_member(name: str, value: bytes, mask: Mask) -> str:
    is_number = value[:1] in b"-0123456789"
    if not (name in _PLAIN_MEMBERS or is_number or value in _SCALARS):
        return MASK
    text = mask.text(value.decode("utf-8", "replace"))
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _url(upstream: Upstream, operation: Operation) -> str:
    """The URL by the provider's own name; a query may hold a key, so its values are left out."""
    path, mark, query = upstream.targets[operation].partition("?")
    shown = [_shown_pair(pair) for pair in query.split("&")] if mark else []
    return f"{upstream.endpoint.scheme}://{_bracketed(upstream.host)}{path}{mark}{'&'.join(shown)}"


def _shown_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if not equals:
        return MASK
    return pair if name in _PLAIN_QUERY else f"{name}={MASK}"


def _connects_to(upstream: Upstream) -> str | None:
    endpoint = upstream.endpoint
    if (endpoint.address, endpoint.port) == (upstream.host, _PORTS[endpoint.scheme]):
        return None
    return f"{endpoint.scheme}://{_bracketed(endpoint.address)}:{endpoint.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
