"""What is for this workload: `workloadSelector`, `gateways`, and what is said of the others."""

from __future__ import annotations

import pytest

from tests.core.tables import ACME, GLOBEX, compiled, provider, route, table
from tests.rows import rows

RULES = f"- backendRefs: [{{providerHost: {ACME}}}]"

# The selector's labels, the provider's namespace, the workload's labels and namespace.
SELECTORS = [
    ("{}", "default", {}, "default", True),
    ("{labels: {}}", "default", {}, "default", True),
    ("{labels: {app: web}}", "default", {"app": "web"}, "default", True),
    ("{labels: {app: web}}", "default", {"app": "web", "tier": "a"}, "default", True),
    ("{labels: {app: web, tier: a}}", "default", {"app": "web", "tier": "a"}, "default", True),
    ("{labels: {app: web, tier: a}}", "default", {"app": "web"}, "default", False),
    ("{labels: {app: web}}", "default", {"app": "Web"}, "default", False),
    ("{labels: {app: web}}", "default", {}, "default", False),
    ("{labels: {app: web}}", "shop", {"app": "web"}, "shop", True),
    ("{labels: {app: web}}", "shop", {"app": "web"}, "default", False),
    ("{}", "shop", {}, "default", False),
]


@rows(("selector", "namespace", "labels", "own", "is_selected"), SELECTORS)
def test_a_selector_chooses_by_all_its_labels_in_its_own_namespace(
    selector: str, namespace: str, labels: dict[str, str], own: str, is_selected: bool
) -> None:
    document = provider(spec=f"workloadSelector: {selector}", namespace=namespace)
    routes = table(document, labels=labels, namespace=own)
    assert (routes.find(ACME.encode()) is not None) == is_selected


def test_without_a_selector_a_provider_is_for_all_namespaces() -> None:
    assert table(provider(namespace="shop")).find(ACME.encode()) is not None


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ("default", "wants the label app=web (LLM_MESH_LABELS)"),
        ("shop", "is for namespace 'shop' (LLM_MESH_NAMESPACE)"),
    ],
)
def test_a_route_to_a_provider_of_other_workloads_is_told_why(namespace: str, words: str) -> None:
    spec = "workloadSelector: {labels: {app: web}}"
    result = compiled(provider(spec=spec, namespace=namespace), route(RULES))
    assert result.table is None
    (problem,) = result.problems
    assert problem.field == "spec.rules[0].backendRefs[0].providerHost"
    assert problem.message.startswith("provider 'acme.example' is not for this workload: ")
    assert words in problem.message


def test_a_provider_of_other_workloads_may_have_the_same_host() -> None:
    documents = (
        provider(name="web", openai="{model: w}", spec="workloadSelector: {labels: {app: web}}"),
        provider(name="job", openai="{model: j}", spec="workloadSelector: {labels: {app: job}}"),
    )
    (host,) = table(*documents, labels={"app": "job"}).hosts
    assert host.route == "job"


def test_the_key_of_a_provider_of_other_workloads_is_not_looked_for() -> None:
    spec = "workloadSelector: {labels: {app: web}}"
    assert table(provider(openai="{apiKeyFrom: {env: NO_SUCH_KEY}}", spec=spec)).hosts == ()


# The route's gateways and namespace, those of this workload.
GATEWAYS = [
    ("", "default", ["mesh"], True),
    ("", "default", ["edge"], False),
    ("gateways: [mesh]", "default", ["mesh"], True),
    ("gateways: [edge]", "default", ["mesh"], False),
    ("gateways: [edge]", "default", ["edge"], True),
    ("gateways: [edge, mesh]", "default", ["mesh"], True),
    ("gateways: [edge]", "shop", ["shop/edge"], True),
    ("gateways: [edge]", "shop", ["default/edge"], False),
    ("gateways: [infra/edge]", "shop", ["infra/edge"], True),
    ("gateways: [infra/edge]", "shop", ["edge"], False),
    ("gateways: [infra/edge]", "shop", ["shop/edge"], False),
    ("gateways: [Edge]", "default", ["edge"], False),
]


@rows(("spec", "namespace", "own", "is_ours"), GATEWAYS)
def test_a_route_is_for_the_workloads_of_its_gateways(
    spec: str, namespace: str, own: list[str], is_ours: bool
) -> None:
    document = route(RULES, "*", spec=spec, namespace=namespace)
    routes = table(provider(), document, gateways=own)
    assert (routes.find(b"any.example") is not None) == is_ours


def test_routes_for_different_gateways_may_have_the_same_host() -> None:
    documents = (
        provider(),
        provider(GLOBEX),
        route(RULES, name="inner"),
        route(RULES.replace(ACME, GLOBEX), name="outer", spec="gateways: [edge]"),
    )
    for gateway, name in (("mesh", "inner"), ("edge", "outer")):
        found = table(*documents, gateways=[gateway]).find(b"chat")
        assert found is not None
        assert found.route == name


def test_a_reference_of_a_route_for_other_gateways_is_not_followed() -> None:
    rules = "- backendRefs: [{providerHost: nowhere.example}]"
    assert compiled(provider(), route(rules, spec="gateways: [edge]")).problems == ()
