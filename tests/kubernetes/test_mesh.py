"""A mesh on a cluster, end to end: from `kubectl apply` to what a provider is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from llm_mesh_middleware import ConfigError, Mesh, MeshSettings
from llm_mesh_middleware.cli.commands.validate import report
from llm_mesh_middleware.cli.serve import _check_config
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from llm_mesh_middleware.wsgi import LLMMeshWSGIMiddleware
from tests.canaries import canary
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import Cluster, eventually, key_from, provider, route, secret
from tests.kubernetes.test_processes import threads

KEY, NEXT_KEY = canary("cluster"), canary("cluster, rotated")
HOSTS = ("acme.example", "globex.example")
Ask = Callable[[], httpx.Response]


@pytest.fixture
def upstream(ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOSTS, ca=ca) as running:
        yield running


def settings(upstream: FakeUpstream, ca_file: str, **more: object) -> MeshSettings:
    endpoints = dict.fromkeys(HOSTS, upstream.url)
    values = {"endpoints": endpoints, "ca_file": ca_file, "reload_interval": 1e-9, **more}
    return MeshSettings(**values)  # type: ignore[arg-type]


def client_of(mesh: Mesh) -> httpx.Client:
    app = LLMMeshWSGIMiddleware(_not_found, mesh=mesh)
    transport = httpx.WSGITransport(app, remote_addr="127.0.0.1")
    return httpx.Client(transport=transport, base_url="http://chat.example")


def _not_found(environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("404 Not Found", [])
    return []


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/", json={"messages": [{"role": "user", "content": "Hello"}]})


def test_a_change_in_the_cluster_is_served_without_a_restart(
    cluster: Cluster, upstream: FakeUpstream, ca_file: str
) -> None:
    cluster.apply(secret(acme=KEY))
    cluster.apply(provider("acme.example", {"model": "a", **key_from(key="acme")}))
    cluster.apply(provider("globex.example", {"model": "g"}))
    cluster.apply(route("acme.example"))
    mesh = Mesh(cluster.source(), settings=settings(upstream, ca_file))

    def sent() -> tuple[object, ...]:
        assert ask(client).status_code == 200
        request = upstream.requests[-1]
        return request.header("host"), request.json()["model"], request.header("authorization")

    with client_of(mesh) as client:
        assert sent() == ("acme.example", "a", f"Bearer {KEY}")

        cluster.apply(secret(acme=NEXT_KEY))
        eventually(lambda: sent() == ("acme.example", "a", f"Bearer {NEXT_KEY}"))

        cluster.apply(route("globex.example"))
        eventually(lambda: sent() == ("globex.example", "g", None))

        cluster.apply(route("nobody.example"))
        eventually(lambda: mesh.status().state == "stale")
        assert sent() == ("globex.example", "g", None)
        (problem,) = mesh.status().problems
        eventually(
            lambda: (
                cluster.conditions("LLMRoute", "chat")["ResolvedRefs"]["message"] == problem.text
            )
        )

        cluster.delete("LLMRoute", "chat")
        eventually(lambda: ask(client).status_code == 404)
    mesh.close()


def test_while_the_api_server_is_away_requests_are_served(
    double: Cluster, server: APIServer, upstream: FakeUpstream, ca_file: str
) -> None:
    double.apply(provider("acme.example", {"model": "a"}))
    double.apply(route("acme.example"))
    mesh = Mesh(double.source(), settings=settings(upstream, ca_file))
    server.go_away()

    with client_of(mesh) as client:
        for _ in range(5):
            assert ask(client).status_code == 200
    assert mesh.status().state == "ok"
    mesh.close()


def test_a_setting_may_name_the_cluster(
    double: Cluster,
    server: APIServer,
    upstream: FakeUpstream,
    ca_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(double.kubeconfig))
    monkeypatch.setenv("LLM_MESH_CONFIG", f"kubernetes:{double.namespace}")
    double.apply(provider("acme.example"))
    mesh = Mesh(settings=settings(upstream, ca_file))
    assert mesh.find(b"acme.example") is not None

    mesh.close()
    assert threads() == []
    eventually(lambda: server.open_watches == 0)


def test_the_check_before_serving_leaves_nothing_behind(
    double: Cluster, server: APIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(double.kubeconfig))
    double.apply(provider("acme.example"))
    _check_config(MeshSettings(config="kubernetes:"))  # type: ignore[arg-type]

    assert threads() == []


def test_the_documents_of_a_cluster_can_be_validated(
    double: Cluster,
    server: APIServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(double.kubeconfig))
    double.apply(provider("acme.example", key_from()))

    assert report(["kubernetes:"], as_json=False) == 1
    assert capsys.readouterr().out == (
        "llmproviders/team/acme: spec.configs.defaultConfig.openAIConfig.apiKeyFrom.secretKeyRef"
        ".name: Secret team/keys does not exist\n"
    )
    assert (threads(), server.writes()) == ([], [])


def test_closing_a_mesh_leaves_a_source_of_ones_own_alone(
    double: Cluster, upstream: FakeUpstream, ca_file: str
) -> None:
    double.apply(provider("acme.example"))
    source = double.source()
    Mesh(source, settings=settings(upstream, ca_file)).close()

    assert len(threads()) == 1


def test_a_mesh_does_not_start_on_what_cannot_be_used(double: Cluster, ca_file: str) -> None:
    double.apply(route("acme.example"))
    with pytest.raises(ConfigError) as caught:
        Mesh(double.source(), settings=MeshSettings())

    assert str(caught.value) == (
        "llmroutes/team/chat: spec.rules[0].backendRefs[0].providerHost: "
        "no LLMProvider has the host 'acme.example'; known hosts: none"
    )
    eventually(lambda: "ResolvedRefs" in double.conditions("LLMRoute", "chat"))


@pytest.mark.slow
def test_without_the_library_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['kubernetes_asyncio'] = None;"
        "from llm_mesh_middleware.cli import main; main(['serve', '--config', 'kubernetes:'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )

    assert done.returncode == 1
    assert done.stderr == (
        "kubernetes: kubernetes_asyncio is missing: install llm-mesh-middleware[kubernetes]\n"
    )
