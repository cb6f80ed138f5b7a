"""Virtual hosts, rules and backends as Envoy's route configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from ..._auth.static_key import StaticHeader
from ..._core.balance.backends import Backend
from ..._core.explaining.redaction import is_credential
from ..._core.provider.upstream import Upstream
from ..._core.routing.matching import Condition, Exact, Match, Prefix, Regex
from ..._core.routing.table import RouteRule, RoutingTable, VirtualHost
from ..._core.values.messages import error_object
from .clusters import cluster_name
from .variables import as_header_value

__all__ = ["virtual_hosts"]

Report = Callable[[str], None]

_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"
_TYPED = frozenset(("model", "attribute"))


def virtual_hosts(table: RoutingTable, *, gap: Report, remark: Report) -> list[dict[str, Any]]:
    """Return every virtual host; `gap` is called with differences, `remark` with advice."""
    return [_virtual_host(table, host, gap, remark) for host in table.hosts]


def _virtual_host(
    table: RoutingTable, host: VirtualHost, gap: Report, remark: Report
) -> dict[str, Any]:
    routes = [route for rule in host.rules for route in _routes(host, rule, gap=gap, remark=remark)]
    return {
        "name": host.name,
        "domains": sorted(table.names(host)),
        "routes": [*routes, _no_route(host)],
    }


def _routes(
    host: VirtualHost, rule: RouteRule, *, gap: Report, remark: Report
) -> Iterator[dict[str, Any]]:
    """Yield a route for each match of the rule that this workload can satisfy."""
    place = f"{host.route}: rule {rule.name}"
    matches = [match for match in rule.matches if match.excluded is None]
    if not matches:
        return
    if len(rule.backends.tiers) > 1:
        gap(f"{place}: priority: Envoy would share requests with the fallbacks; they are left out")
    action = _action(rule, place, gap, remark)
    for match in matches:
        found = _match(match, place, gap)
        if found is not None:
            yield {"name": rule.name, "match": found, "route": action}


def _match(match: Match, place: str, gap: Report) -> dict[str, Any] | None:
    """Return the conditions; None if Envoy cannot test one, so that the route is left out."""
    found: dict[str, Any] = {}
    headers = []
    for condition in match.conditions:
        if condition.kind in _TYPED:
            gap(f"{place}: matches.{condition.kind}: Envoy cannot test it; the match is left out")
            return None
        if condition.kind == "path":
            found |= _path(condition)
        else:
            name = ":method" if condition.kind == "method" else condition.key
            headers.append({"name": name, **_header_test(condition)})
    if headers:
        found["headers"] = headers
    return found if {"path", "prefix", "safe_regex"} & found.keys() else {"prefix": "/"} | found


def _path(condition: Condition) -> dict[str, Any]:
    match condition.test:
        case Exact(value):
            return {"path": value}
        case Prefix(value):
            return {"prefix": value}
        case Regex(pattern):
            return {"safe_regex": {"regex": pattern.pattern}}
    return {"prefix": "/"}


def _header_test(condition: Condition) -> dict[str, Any]:
    match condition.test:
        case Exact(value):
            return {"string_match": {"exact": value}}
        case Prefix(value):
            return {"string_match": {"prefix": value}} if value else {"present_match": True}
        case Regex(pattern):
            return {"string_match": {"safe_regex": {"regex": pattern.pattern}}}
    return {"present_match": True}


def _action(rule: RouteRule, place: str, gap: Report, remark: Report) -> dict[str, Any]:
    timeouts, retry = rule.timeouts, rule.retry
    backends = rule.backends.tiers[0]
    action: dict[str, Any] = {
        "weighted_clusters": {
            "clusters": [_backend(each, len(backends) == 1, remark) for each in backends]
        },
        "timeout": f"{timeouts.request:g}s",
        "idle_timeout": f"{timeouts.idle:g}s",
    }
    if retry.reasons:
        gap(f"{place}: retry.codes: Envoy cannot read the error object of a provider")
    if retry.attempts:
        action["retry_policy"] = {
            "retry_on": "connect-failure,refused-stream,retriable-status-codes",
            "num_retries": retry.attempts,
            "retriable_status_codes": sorted(retry.codes),
            "retry_back_off": {"base_interval": f"{retry.backoff_s:g}s"},
        }
    return action


def _backend(backend: Backend, is_alone: bool, remark: Report) -> dict[str, Any]:
    upstream = backend.upstream
    if upstream.stream is not None:
        remark(f"{upstream.provider}: a client gets the form that `stream` sets, not its own")
    return {
        "name": cluster_name(upstream),
        "weight": 1 if is_alone else backend.weight,
        "host_rewrite_literal": dict(upstream.headers)[b"host"].decode(),
        "request_headers_to_add": _headers(upstream, remark),
        "typed_per_filter_config": {
            "envoy.filters.http.lua": {"@type": _PER_ROUTE, "filter_context": _context(upstream)}
        },
    }


def _headers(upstream: Upstream, remark: Report) -> list[dict[str, Any]]:
    """Return the fields that the provider's configuration adds, its key among them."""
    own = [
        (name.decode(), value.decode("latin-1"))
        for name, value in upstream.headers
        if name not in (b"host", b"content-type", b"accept-encoding")
    ]
    found = [*upstream.credentials.values()]
    if found and isinstance(found[0], StaticHeader):
        own.append((found[0].name.decode(), found[0].value.decode("latin-1")))
    return [
        {
            "header": {"key": name, "value": _value(upstream, name, value, remark)},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name, value in own
    ]


def _value(upstream: Upstream, name: str, value: str, remark: Report) -> str:
    """Return a field value; a secret that a manifest or a file holds is left to a variable."""
    text = as_header_value(value)
    if "%ENVIRONMENT(" in text or not is_credential(name):
        return text
    label = re.sub(r"[^A-Z0-9]", "_", f"{upstream.provider}_{name}".upper())
    scheme = "Bearer " if value.startswith("Bearer ") else ""
    remark(f"set LLM_MESH_{label} to the {name} of {upstream.provider}; no key was copied")
    return f"{scheme}%ENVIRONMENT(LLM_MESH_{label})%"


def _context(upstream: Upstream) -> dict[str, Any]:
    """Return what `filter.lua` reads."""
    return {
        "backend": {
            "model": "" if upstream.model is None else _json(upstream.model),
            "stream": "" if upstream.stream is None else _json(upstream.stream),
            "targets": [
                {
                    "suffix": operation.client_suffix or operation.suffix,
                    "method": operation.method,
                    "target": target,
                    "generates": operation.is_generation,
                    "streams": operation.has_two_forms,
                }
                for operation, target in _targets(upstream.targets).items()
                # Envoy translates nothing: it refuses what the provider does not serve itself.
                if operation not in upstream.conversions
            ],
        }
    }


def _targets(targets: Mapping[Any, str]) -> Mapping[Any, str]:
    """Return the operations with chat, which is what `/` means, first."""
    return dict(sorted(targets.items(), key=lambda item: item[0].name != "chat"))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _no_route(host: VirtualHost) -> dict[str, Any]:
    """Return the route of requests that no rule takes: the mesh's own 404."""
    text = f"no rule of route {host.route!r} matches this request to {host.name!r}"
    body = error_object(text, type="invalid_request_error", code="route_not_found")
    content_type = {"key": "content-type", "value": "application/json"}
    return {
        "name": "route_not_found",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404, "body": {"inline_string": body.decode()}},
        "response_headers_to_add": [
            {"header": content_type, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
        "typed_per_filter_config": {
            "envoy.filters.http.lua": {"@type": _PER_ROUTE, "disabled": True}
        },
    }
