"""`backendRef` to an `InferencePool`: how its document becomes endpoints, and what can be wrong."""

from __future__ import annotations

from llm_mesh_middleware._core.provider.upstream import Upstream
from tests.core.tables import compiled, provider, route, table, upstream_of
from tests.rows import rows

V1, V1ALPHA2 = "inference.networking.k8s.io/v1", "inference.networking.x-k8s.io/v1alpha2"
PORTS = "selector: {matchLabels: {app: vllm-qwen}}\n  targetPorts: [{number: 8000}]"


def pool(spec: str = PORTS, *, version: str = V1, namespace: str = "default") -> str:
    return (
        f"apiVersion: {version}\nkind: InferencePool\n"
        f"metadata: {{name: qwen-pool, namespace: {namespace}, labels: {{a: b}}}}\n"
        f"spec:\n  {spec}\n"
    )


def to_pool(ref: str = "name: qwen-pool", more: str = "") -> str:
    group = "group: inference.networking.k8s.io, kind: InferencePool"
    return route(f"- backendRefs: [{{backendRef: {{{group}, {ref}}}{more}}}]")


def addresses(upstream: Upstream) -> list[tuple[str, str, int]]:
    return [(one.scheme, one.address, one.port) for one in upstream.endpoints.now()]


@rows(
    ("spec", "version", "found"),
    [
        (
            f"{PORTS}\n  endpoints: [10.0.0.1, 10.0.0.2]",
            V1,
            [("10.0.0.1", 8000), ("10.0.0.2", 8000)],
        ),
        (
            f"{PORTS}\n  endpoints: ['10.0.0.1:9000', a.example]",
            V1,
            [("10.0.0.1", 9000), ("a.example", 8000)],
        ),
        (
            "targetPorts: [{number: 1}, {number: 2}]\n  endpoints: [10.0.0.1]",
            V1,
            [("10.0.0.1", 1), ("10.0.0.1", 2)],
        ),
        (f"{PORTS}\n  endpoints: [10.0.0.1, 10.0.0.1]", V1, [("10.0.0.1", 8000)]),
        (
            "selector: {app: x}\n  targetPortNumber: 80\n  extensionRef: {name: epp}\n"
            "  endpoints: [10.0.0.1]",
            V1ALPHA2,
            [("10.0.0.1", 80)],
        ),
    ],
)
def test_a_pool_has_an_endpoint_for_each_server_and_port(
    spec: str, version: str, found: list[tuple[str, int]]
) -> None:
    upstream = upstream_of(table(pool(spec, version=version), to_pool()))
    assert addresses(upstream) == [("http", *each) for each in found]
    assert dict(upstream.headers)[b"host"] == b"qwen-pool.default"


def test_a_reference_chooses_the_port_the_model_and_the_namespace() -> None:
    spec = f"{PORTS}\n  endpoints: [10.0.0.1]"
    ref = "name: qwen-pool, namespace: models, port: 9000"
    upstream = upstream_of(
        table(pool(spec, namespace="models"), to_pool(ref, ", model: qwen-lora"))
    )
    assert addresses(upstream) == [("http", "10.0.0.1", 9000)]
    assert (upstream.model, upstream.host) == ("qwen-lora", "qwen-pool.models")


@rows(
    ("documents", "field", "message"),
    [
        ([to_pool()], "spec.rules[0].backendRefs[0].backendRef", "no InferencePool is named"),
        (
            [pool(f"{PORTS}\n  endpoints: [a]"), to_pool("name: qwen-pool, namespace: other")],
            "spec.rules[0].backendRefs[0].backendRef",
            "no InferencePool is named other/qwen-pool; known pools: default/qwen-pool",
        ),
        (
            [route("- backendRefs: [{backendRef: {kind: Service, name: x}}]")],
            "spec.rules[0].backendRefs[0].backendRef",
            "kind 'Service' is not supported",
        ),
        (
            [route("- backendRefs: [{backendRef: {group: example.com, name: x}}]")],
            "spec.rules[0].backendRefs[0].backendRef",
            "group 'example.com' is not supported",
        ),
        ([pool("endpoints: [a]")], "spec", "must have targetPorts"),
        ([pool("targetPorts: [{number: 0}]")], "spec.targetPorts[0].number", ""),
        ([pool(f"{PORTS}\n  endpoints: ['http://a']")], "spec.endpoints[0]", ""),
        ([pool(version="inference.networking.k8s.io/v9")], "apiVersion", "must be"),
    ],
)
def test_a_faulty_pool_or_reference_is_a_problem_with_its_place(
    documents: list[str], field: str, message: str
) -> None:
    result = compiled(*documents)
    assert result.table is None
    assert (result.problems[0].field, message in result.problems[0].message) == (field, True)
    assert result.problems[0].line > 0


def test_a_pool_without_endpoints_is_a_warning() -> None:
    result = compiled(pool(), to_pool(), provider())
    assert [problem.severity for problem in result.problems] == ["warning"]
    assert result.table is not None


def test_other_kinds_of_the_group_of_pools_are_ignored() -> None:
    model = f"apiVersion: {V1ALPHA2}\nkind: InferenceObjective\nmetadata: {{name: x}}\nspec: {{}}\n"
    assert compiled(model, pool(f"{PORTS}\n  endpoints: [a]"), to_pool()).problems == ()


def test_a_change_of_the_endpoints_leaves_the_pool_the_same() -> None:
    one, two = (
        upstream_of(table(pool(f"{PORTS}\n  endpoints: [{names}]"), to_pool()))
        for names in ("a", "a, b")
    )
    assert one.identity == two.identity
