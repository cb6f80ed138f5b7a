"""Manifests for tests of the core and the compiler, and the shortest way from one to a table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import dedent, indent
from typing import NamedTuple

from msgspec.structs import replace

from llm_mesh_middleware._compile import Compiled, Workload, compile_manifest
from llm_mesh_middleware._core.balance.backends import Backend
from llm_mesh_middleware._core.balance.balancer import Balancer, Candidate
from llm_mesh_middleware._core.balance.weighted import Weighted
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.provider.upstream import Upstream
from llm_mesh_middleware._core.routing.table import RoutingTable, VirtualHost
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields, read_text
from llm_mesh_middleware._manifest import Secret, SecretName, parse_manifest

ACME, GLOBEX = "acme.example", "globex.example"

_HEAD = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: {kind}
metadata: {{name: {name!r}, namespace: {namespace}}}
spec:
"""


def provider(
    host: str = ACME,
    openai: str = "{}",
    *,
    specific: str = "{}",
    spec: str = "",
    name: str | None = None,
    namespace: str = "default",
) -> str:
    """An LLMProvider: `openai` is its openAIConfig, `specific` its routeSpecificConfigs, both in
    YAML flow style; `spec` is more lines of its spec."""
    head = _HEAD.format(
        kind="LLMProvider", name=name or host.partition(".")[0], namespace=namespace
    )
    configs = f"defaultConfig: {{openAIConfig: {openai}}}\nrouteSpecificConfigs: {specific}"
    lines = f"host: {host!r}\n{dedent(spec).strip()}\nconfigs:\n{indent(configs, '  ')}\n"
    return head + indent(lines, "  ")


def route(
    rules: str,
    host: str = "chat",
    *,
    spec: str = "",
    name: str = "route",
    namespace: str = "default",
) -> str:
    """An LLMRoute: `rules` in YAML block style, `spec` more lines of its spec."""
    head = _HEAD.format(kind="LLMRoute", name=name, namespace=namespace)
    lines = f"host: {host!r}\n{dedent(spec).strip()}\nrules:\n{dedent(rules).strip()}\n"
    return head + indent(lines, "  ")


def compiled(
    *documents: str,
    labels: Mapping[str, str] | None = None,
    namespace: str = "default",
    gateways: Sequence[str] = ("mesh",),
    endpoints: Mapping[str, str] | None = None,
    timeouts: Timeouts | None = None,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[SecretName, Secret] | None = None,
) -> Compiled:
    """What the documents are for a workload, problems included."""
    manifest = parse_manifest("---\n".join(documents), source="mesh.yaml", environ=environ or {})
    return compile_manifest(
        replace(manifest, secrets=secrets),
        Workload(labels or {}, namespace, frozenset(gateways)),
        endpoints=endpoints or {},
        timeouts=timeouts or Timeouts(),
        environ=environ or {},
    )


def table(*documents: str, **workload: object) -> RoutingTable:
    """The table of documents that are all right."""
    result = compiled(*documents, **workload)  # type: ignore[arg-type]
    assert result.problems == ()
    assert result.table is not None
    return result.table


def virtual_host(routes: RoutingTable, host: str | bytes = "chat") -> VirtualHost:
    """The virtual host that a Host field names; there must be one."""
    found = routes.find(host if isinstance(host, bytes) else host.encode())
    assert found is not None
    return found


def request(
    *fields: str,
    method: str = "POST",
    path: str = "/",
    body: str | bytes = "{}",
    attributes: Mapping[str, str] | None = None,
) -> ClientRequest:
    """A client's request. Fields are written `name: value`; names become lower-case, as every ASGI
    server makes them, values keep their white space."""
    raw = []
    for field in fields:
        name, _, value = field.partition(":")
        raw.append((name.lower().encode(), value.encode("latin-1")))
    data = body if isinstance(body, bytes) else body.encode()
    return ClientRequest(method, path, Headers(raw), data, attributes or {})


def candidates(tier: Iterable[Backend]) -> list[Candidate]:
    """The candidates of a tier whose providers are all well."""
    registry = HealthRegistry(threading.Lock)
    return [
        Candidate(backend, endpoint, registry.of(backend.upstream, endpoint))
        for backend in tier
        for endpoint in backend.upstream.endpoints.now()
    ]


def picked(
    tier: Iterable[Backend], balancer: Balancer, asked: ClientRequest, draw: Callable[[], float]
) -> Candidate:
    """What a balancer picks of them."""
    return balancer.pick(candidates(tier), asked, draw, 0.0)


class Routed(NamedTuple):
    """Where a request goes first: the names of route and rule, and the upstream."""

    route: str
    rule: str
    upstream: Upstream


def pick(host: VirtualHost, asked: ClientRequest, draw: Callable[[], float]) -> Routed:
    """What routing decides, and the backend that is drawn."""
    rule = host.select(asked)
    candidate = picked(rule.backends.tiers[0], Weighted(), asked, draw)
    return Routed(host.route, rule.name, candidate.backend.upstream)


def select(
    routes: RoutingTable, asked: ClientRequest, host: str = "chat", chance: float = 0.0
) -> Routed:
    """What routing decides when `chance` is drawn."""
    fields = decode_fields(asked.body)
    asked = replace(asked, fields=fields, model=read_text(fields, "model"))
    return pick(virtual_host(routes, host), asked, lambda: chance)


def upstream_of(routes: RoutingTable, host: str = "chat", chance: float = 0.0) -> Upstream:
    """Where a plain request to `host` goes."""
    return select(routes, request(), host, chance).upstream


def only_endpoint(upstream: Upstream) -> Endpoint:
    """Where the provider is reached."""
    (endpoint,) = upstream.endpoints.now()
    return endpoint
