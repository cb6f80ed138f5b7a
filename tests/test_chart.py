"""The Helm chart: linted and rendered by Helm itself, and compared with the other manifests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from llm_mesh_middleware import MeshSettings
from llm_mesh_middleware.cli import main
from tests.charts import ChartError, helm
from tests.test_deploy import DEPLOY, by_kind, run
from tests.test_docs import command_problem

CHART = DEPLOY / "helm" / "llm-mesh"
EVERYTHING: dict[str, Any] = {
    "metrics": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "image": {"repository": "registry.example/llm-mesh", "pullSecrets": [{"name": "registry"}]},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"team": "search"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    },
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"pool": "web"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "serviceAccount": {"name": "mesh"},
}
pytestmark = pytest.mark.slow  # a process of Helm for each


def rendered(**values: Any) -> dict[str, dict[str, Any]]:
    """The documents by their kind."""
    files = helm("render", CHART, **values)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return by_kind("\n---\n".join(text for text in texts if text.strip()))


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.fixture(scope="module")
def usual() -> dict[str, dict[str, Any]]:
    return rendered()


@pytest.fixture(scope="module")
def everything() -> dict[str, dict[str, Any]]:
    return rendered(**EVERYTHING)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_linter_of_helm_finds_nothing(values: dict[str, Any]) -> None:
    report = helm("lint", CHART, **values)

    assert report["errors"] == []
    assert [each for each in report["messages"] if each["severity"] > 1] == []


def test_the_documents_fit_the_schemas_of_kubernetes(
    usual: dict[str, Any], everything: dict[str, Any], tmp_path: Path
) -> None:
    assert everything.keys() - usual.keys() == {"ServiceMonitor"}
    for number, found in enumerate((usual, everything)):
        own = [each for kind, each in found.items() if kind != "ServiceMonitor"]
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump_all(own))

        run("kubernetes-validate", "--strict", path)


def test_selectors_find_the_pods(everything: dict[str, Any]) -> None:
    labels = everything["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        everything["Deployment"]["spec"]["selector"]["matchLabels"],
        everything["Service"]["spec"]["selector"],
        everything["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        everything["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    monitored = everything["ServiceMonitor"]["spec"]["selector"]["matchLabels"]

    assert all(selector.items() <= labels.items() for selector in selectors)
    assert monitored.items() <= everything["Service"]["metadata"]["labels"].items()
    scaled = everything["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
    assert scaled == everything["Deployment"]["metadata"]["name"]


def test_what_is_scraped_is_what_the_mesh_serves(everything: dict[str, Any]) -> None:
    (endpoint,) = everything["ServiceMonitor"]["spec"]["endpoints"]
    ports = {each["name"]: each["port"] for each in everything["Service"]["spec"]["ports"]}
    told = environment(everything["Deployment"])

    assert str(ports[endpoint["port"]]) == told["OTEL_EXPORTER_PROMETHEUS_PORT"]
    assert told["OTEL_METRICS_EXPORTER"] == "prometheus"
    allowed = [rule["ports"][0]["port"] for rule in everything["NetworkPolicy"]["spec"]["ingress"]]
    assert ports[endpoint["port"]] in allowed


def test_the_pod_is_that_of_the_kustomization(usual: dict[str, Any]) -> None:
    """Both ways of installing run the same; only names and labels differ."""
    (other,) = yaml.safe_load_all((DEPLOY / "kustomize" / "deployment.yaml").read_text())
    pods = [each["spec"]["template"]["spec"] for each in (usual["Deployment"], other)]
    for pod in pods:
        pod["topologySpreadConstraints"][0]["labelSelector"] = {}
        pod["containers"][0].pop("imagePullPolicy", None)

    assert pods[0] == pods[1]
    assert command_problem(pods[0]["containers"][0]["args"]) is None


def test_the_manifests_of_the_mesh_validate(usual: dict[str, Any], tmp_path: Path) -> None:
    for name, text in usual["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)

    result = CliRunner().invoke(main, ["validate", "--no-env", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (0, "")


def test_every_setting_of_the_values_exists() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert values["settings"].keys() <= MeshSettings.model_fields.keys()


def test_a_setting_reaches_the_mesh_as_it_is_written() -> None:
    values = {"max_request_bytes": 50_000_000, "store_timeout": 0.05, "trust_env": True}

    told = environment(rendered(settings=values)["Deployment"])

    assert told["LLM_MESH_MAX_REQUEST_BYTES"] == "50000000"
    assert told["LLM_MESH_STORE_TIMEOUT"] == "0.05"
    assert told["LLM_MESH_TRUST_ENV"] == "true"


def test_parts_that_are_switched_off_are_not_there() -> None:
    names = ("autoscaling", "disruptionBudget", "networkPolicy")
    off = {name: {"enabled": False} for name in names}

    found = rendered(existingConfigMap="mine", replicas=3, **off)

    assert found.keys() == {"Deployment", "Service"}
    assert found["Deployment"]["spec"]["replicas"] == 3
    (volume,) = found["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"] == {"name": "mine"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replica": 3}, "replica"),
        ({"metrics": {"enabled": True, "port": 0}}, "port"),
        ({"service": {"type": "Elsewhere"}}, "type"),
        ({"secretName": ""}, "secretName"),
        ({"settings": {"client_keys": "{}"}}, "client_keys"),  # is a secret
        ({"manifests": {"mesh.txt": "a: b"}}, "mesh.txt"),
        ({"serviceMonitor": {"enabled": True}}, "needs metrics.enabled"),
    ],
    ids=json.dumps,
)
def test_values_that_cannot_be_right_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=re.escape(words)):
        helm("render", CHART, **values)


def test_the_versions_are_those_of_the_package() -> None:
    from llm_mesh_middleware import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == chart["version"]
    assert chart["version"] >= __version__
