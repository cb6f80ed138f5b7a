"""A pool of three model servers over real sockets: killed, drained, added, slow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body

DOWN = Answer(503, [], error_body("down"))


@pytest.fixture
def servers() -> Iterator[list[FakeUpstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeUpstream(tls=False)) for _ in range(3)]


def write(path: Path, servers: list[FakeUpstream], **rule: object) -> None:
    """The documentation's route to a pool, and the pool."""
    ref = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "qwen-pool"}
    pool = {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "qwen-pool"},
        "spec": {
            "selector": {"matchLabels": {"app": "vllm-qwen"}},
            "targetPorts": [{"number": 8000}],
            "endpoints": [urlsplit(server.url).netloc for server in servers],
        },
    }
    rules = [{"name": "main", "backendRefs": [{"backendRef": ref}], **rule}]
    route = {
        "apiVersion": "istio.alibabacloud.com/v1beta1",
        "kind": "LLMRoute",
        "metadata": {"name": "qwen"},
        "spec": {"host": "qwen", "rules": rules},
    }
    path.write_text("---\n".join(json.dumps(document) + "\n" for document in (pool, route)))


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Mesh, httpx.Client]]:
    mesh = Mesh(folder, settings=MeshSettings())
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        yield mesh, client
    mesh.close()


def ask(client: httpx.Client, times: int) -> list[int]:
    asked = (
        {"model": "qwen", "messages": [{"role": "user", "content": str(n)}]} for n in range(times)
    )
    url = "http://qwen/v1/chat/completions"
    return [client.post(url, json=body).status_code for body in asked]


def test_no_request_fails_while_one_server_is_healthy(
    tmp_path: Path, servers: list[FakeUpstream]
) -> None:
    write(tmp_path / "mesh.yaml", servers, balance={"policy": "leastBusy"})
    with serving(tmp_path) as (mesh, client):
        assert set(ask(client, 60)) == {200}
        assert all(server.requests for server in servers)
        servers[0].always(DOWN)
        assert set(ask(client, 30)) == {200}
        states = {name: status.state for name, status in mesh.health().items()}
        down = urlsplit(servers[0].url).netloc
        assert states.pop(f"qwen-pool.default/{down}") == "ejected"
        assert set(states.values()) == {"healthy"}
        servers[1].always(DOWN)
        assert set(ask(client, 30)) == {200}


def test_a_server_is_drained_and_another_added_by_a_reload(
    tmp_path: Path, servers: list[FakeUpstream]
) -> None:
    first, second, third = servers
    write(tmp_path / "mesh.yaml", [first, second])
    with serving(tmp_path) as (mesh, client):
        assert set(ask(client, 20)) == {200}
        assert not third.requests
        seen = len(first.requests)
        write(tmp_path / "mesh.yaml", [second, third])
        mesh.reload()
        assert set(ask(client, 20)) == {200}
        assert len(first.requests) == seen
        assert third.requests


def test_a_pool_without_servers_answers_503(tmp_path: Path) -> None:
    write(tmp_path / "mesh.yaml", [])
    with serving(tmp_path) as (mesh, client):
        assert ask(client, 2) == [503, 503]


def test_a_pool_without_servers_leaves_its_requests_to_the_next_priority(
    tmp_path: Path, servers: list[FakeUpstream]
) -> None:
    write(tmp_path / "mesh.yaml", [])
    text = (tmp_path / "mesh.yaml").read_text()
    text = text.replace(
        '"backendRefs": [', '"backendRefs": [{"providerHost": "b.example", "priority": 1}, '
    )
    provider = {
        "apiVersion": "istio.alibabacloud.com/v1beta1",
        "kind": "LLMProvider",
        "metadata": {"name": "b"},
        "spec": {"host": "b.example", "endpoint": servers[0].url},
    }
    (tmp_path / "mesh.yaml").write_text(text + "---\n" + json.dumps(provider) + "\n")
    with serving(tmp_path) as (mesh, client):
        assert ask(client, 3) == [200, 200, 200]
    assert len(servers[0].requests) == 3
