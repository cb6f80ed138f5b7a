"""Clusters: the API server of this folder, and a real one where there is one."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from llm_mesh_middleware.testing import CertificateAuthority
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import TOKEN, Cluster, connected, eventually
from tests.kubernetes.realserver import RealServer, assets

CRDS = Path(__file__).parents[2] / "integrations" / "kubernetes" / "crds.yaml"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server_tls(ca: CertificateAuthority) -> ssl.SSLContext:
    return ca.issue("127.0.0.1")


@pytest.fixture
def server(server_tls: ssl.SSLContext) -> Iterator[APIServer]:
    with APIServer(server_tls, TOKEN) as running:
        yield running


@pytest.fixture
def double(server: APIServer, tmp_path: Path, ca_file: str) -> Iterator[Cluster]:
    """The cluster behind `server`, for tests of what can be made to go wrong only there."""
    with connected(server.url, tmp_path, namespace="team", ca_file=ca_file) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_server(
    tmp_path_factory: pytest.TempPathFactory, ca: CertificateAuthority
) -> Iterator[RealServer]:
    folder = assets()
    if folder is None:
        pytest.skip("KUBEBUILDER_ASSETS does not say where kube-apiserver and etcd are")
    data = tmp_path_factory.mktemp("kube")
    certificate = ca.write_certificate(data / "server.pem", "127.0.0.1")
    with RealServer(folder, data, certificate) as running:
        yield running


@pytest.fixture
def real(real_server: RealServer, tmp_path: Path, ca_file: str) -> Iterator[Cluster]:
    """A namespace of its own for each test."""
    namespace = f"team-{next(_numbers)}"
    with connected(real_server.url, tmp_path, namespace=namespace, ca_file=ca_file) as made:
        _prepare(made)
        yield made


@pytest.fixture(params=["double", "real"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    made: Cluster = request.getfixturevalue(request.param)
    return made


def _prepare(cluster: Cluster) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    cluster.client.post("/api/v1/namespaces", json=body).raise_for_status()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for crd in yaml.safe_load_all(CRDS.read_text("utf-8")):
        cluster.client.post(path, json=crd)  # the first test's stay
        plural = crd["spec"]["names"]["plural"]
        served = f"/apis/istio.alibabacloud.com/v1beta1/{plural}"
        eventually(lambda served=served: cluster.client.get(served).is_success, 20)
