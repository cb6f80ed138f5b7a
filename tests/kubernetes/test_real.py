"""A real API server's rights, definitions and restarts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.clusters import (
    GROUP,
    PLURALS,
    Cluster,
    Object,
    connected,
    eventually,
    key_from,
    provider,
    route,
    secret,
)
from tests.kubernetes.conftest import CRDS
from tests.kubernetes.realserver import RealServer
from tests.kubernetes.test_crds import EVERYTHING
from tests.kubernetes.test_source import KEY, hosts, key
from tests.kubernetes.test_status import ACCEPTED, RESOLVED, reported, told

ACCOUNT, ROLE, BINDING = yaml.safe_load_all((CRDS.parent / "rbac.yaml").read_text("utf-8"))
_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


@pytest.fixture
def limited(
    real: Cluster, real_server: RealServer, tmp_path: Path, ca_file: str
) -> Iterator[Cluster]:
    """The same namespace for who has the rights of `rbac.yaml` and no others."""
    accounts = f"/api/v1/namespaces/{real.namespace}/serviceaccounts"
    create(real, accounts, ACCOUNT)
    create(real, f"{_RBAC}/{real.namespace}/roles", ROLE)
    create(real, f"{_RBAC}/{real.namespace}/rolebindings", BINDING)
    token = create(real, f"{accounts}/llm-mesh/token", {"spec": {}})["status"]["token"]
    folder = tmp_path / "limited"
    folder.mkdir()
    with connected(
        real_server.url, folder, namespace=real.namespace, ca_file=ca_file, token=token
    ) as made:
        yield made


def create(cluster: Cluster, path: str, item: Object) -> Any:
    answer = cluster.client.post(path, json=item)
    answer.raise_for_status()
    return answer.json()


def test_the_role_is_enough(real: Cluster, limited: Cluster) -> None:
    real.apply(secret("llm-keys", token=KEY))
    real.apply(provider("acme.example", key_from("llm-keys")))
    real.apply(route("acme.example"))
    source = limited.source()
    assert reported(source) == ()
    assert key(source, real, "llm-keys") == KEY.encode()
    eventually(lambda: told(real, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    eventually(lambda: told(real, "LLMRoute", "chat") == [ACCEPTED, RESOLVED])

    real.apply(secret("llm-keys", token="rotated"))
    eventually(lambda: key(source, real, "llm-keys") == b"rotated")


def test_conditions_are_told_to_be_the_meshs(real: Cluster) -> None:
    real.apply(provider("acme.example"))
    reported(real.source())
    eventually(lambda: told(real, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])

    managers = real.get("LLMProvider", "acme")["metadata"]["managedFields"]
    assert [each["manager"] for each in managers if each.get("subresource") == "status"] == [
        "llm-mesh"
    ]


def test_the_role_gives_no_other_secret_and_no_other_namespace(
    real: Cluster, limited: Cluster
) -> None:
    real.apply(secret(token=KEY))
    real.apply(provider("acme.example", key_from()))
    fault = str(key(limited.source(), real))
    assert fault.startswith("cannot be read: the API server answered 403: ")

    (problem,) = limited.source("default").load().problems
    assert "the API server answered 403" in problem.text
    assert "give the service account a Role" in problem.text


def test_without_the_right_to_write_a_status_everything_else_works(
    real: Cluster, limited: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh_middleware")
    rules = [rule for rule in ROLE["rules"] if "patch" not in rule["verbs"]]
    path = f"{_RBAC}/{real.namespace}/roles/llm-mesh"
    real.client.put(path, json={**ROLE, "rules": rules}).raise_for_status()
    real.apply(provider("acme.example"))
    source = limited.source()

    assert reported(source) == ()
    eventually(lambda: "no status is written" in caplog.text)
    assert hosts(source) == ["acme.example"]
    assert real.conditions("LLMProvider", "acme") == {}


def test_no_field_that_the_models_know_is_unknown_to_the_api_server(real: Cluster) -> None:
    for item in yaml.safe_load_all(EVERYTHING):
        plural = PLURALS[item["kind"]]
        path = f"/apis/{item['apiVersion']}/namespaces/{real.namespace}/{plural}"
        answer = real.client.post(path, params={"fieldValidation": "Strict"}, json=item)

        assert answer.is_success, answer.text
        assert answer.json()["spec"] == item["spec"]


@pytest.mark.parametrize("plural", ["llmproviders", "llmroutes"])
def test_the_definitions_are_established_without_a_remark(real: Cluster, plural: str) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}"
    conditions = real.client.get(path).json()["status"]["conditions"]

    # There is a third, NonStructuralSchema, for a schema that is at fault.
    assert {each["type"]: each["status"] for each in conditions} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


@pytest.mark.parametrize(
    ("file", "paths"),
    [
        (
            "rbac.yaml",
            [
                "/api/v1/namespaces/{}/serviceaccounts",
                f"{_RBAC}/{{}}/roles",
                f"{_RBAC}/{{}}/rolebindings",
            ],
        ),
        ("sidecar.yaml", ["/apis/apps/v1/namespaces/{}/deployments"]),
    ],
)
def test_the_files_for_a_cluster_have_no_field_that_it_does_not_know(
    real: Cluster, file: str, paths: list[str]
) -> None:
    items = list(yaml.safe_load_all((CRDS.parent / file).read_text("utf-8")))
    strictly = {"fieldValidation": "Strict", "dryRun": "All"}
    for path, item in zip(paths, items, strict=True):
        answer = real.client.post(path.format(real.namespace), params=strictly, json=item)

        assert answer.is_success, answer.text
        assert "warning" not in answer.headers


@pytest.mark.slow
def test_after_a_restart_what_the_api_server_has_forgotten_is_listed_anew(
    real: Cluster, real_server: RealServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh_middleware")
    real.apply(provider("a.example"))
    source = real.source()
    assert hosts(source) == ["a.example"]
    before = source.fingerprint()
    real.apply(secret(token=KEY))  # so that the version of the watch is older than the newest
    real_server.stop()
    eventually(lambda: "what was read stays in use" in caplog.text)
    assert hosts(source) == ["a.example"]

    real_server.start()
    assert source.fingerprint() == before
    real.apply(provider("b.example"))
    eventually(lambda: hosts(source) == ["a.example", "b.example"], 30)
    assert "the API server is back" in caplog.text
