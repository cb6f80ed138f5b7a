"""A pool of three model servers over real sockets: killed, drained, added, slow, watched."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, error_body
from tests.resilience.model_servers import ModelServer

DOWN = Answer(503, [], error_body("down"))
# A check may take as long as the interval: on a busy machine a short one would fail good servers.
CHECKED = {"activeCheck": {"path": "/health", "interval": "300ms"}}


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(3)]


def write(path: Path, servers: list[ModelServer], *, spec: object = None, **rule: object) -> None:
    """The documentation's route to a pool, and the pool."""
    ref = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "qwen-pool"}
    own = {
        "selector": {"matchLabels": {"app": "vllm-qwen"}},
        "targetPorts": [{"number": 8000}],
        "endpoints": [server.address for server in servers],
    }
    pool = {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "qwen-pool"},
        "spec": own | (spec if isinstance(spec, dict) else {}),
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
    try:
        with httpx.Client(transport=MeshTransport(mesh)) as client:
            yield mesh, client
    finally:
        mesh.close()


def ask(client: httpx.Client, times: int, *, model: str = "qwen", **members: object) -> list[int]:
    asked = (
        {"model": model, "messages": [{"role": "user", "content": str(n)}], **members}
        for n in range(times)
    )
    url = "http://qwen/v1/chat/completions"
    return [client.post(url, json=body).status_code for body in asked]


def until(holds: Callable[[], bool], client: httpx.Client) -> None:
    """Send requests until something is so."""
    deadline = time.monotonic() + 15
    for number in itertools.count():
        if holds():
            break
        assert time.monotonic() < deadline
        messages = [{"role": "user", "content": f"until {number}"}]
        assert ask(client, 1, messages=messages) == [200]
        time.sleep(0.01)


@pytest.mark.parametrize("balance", [{}, {"balance": {"policy": "leastBusy"}}])
def test_no_request_fails_while_one_server_is_healthy(
    tmp_path: Path, servers: list[ModelServer], balance: dict[str, object]
) -> None:
    write(tmp_path / "mesh.yaml", servers, **balance)
    with serving(tmp_path) as (mesh, client):
        assert set(ask(client, 60)) == {200}
        assert all(server.calls for server in servers)
        servers[0].chat = DOWN
        until(lambda: _state(mesh, servers[0]) == "ejected", client)
        assert {_state(mesh, each) for each in servers[1:]} == {"healthy"}
        servers[1].upstream.close()
        assert set(ask(client, 30)) == {200}
        assert servers[2].calls >= 30


def _state(mesh: Mesh, server: ModelServer) -> str:
    return mesh.health()[f"qwen-pool.default/{server.address}"].state


def _scores(mesh: Mesh) -> list[float | None]:
    explained = mesh.explain("qwen", path="/v1/chat/completions", body=b'{"messages":[]}')
    return [server.score for server in explained.backends[0].servers]


def test_a_slow_server_gets_less(tmp_path: Path, servers: list[ModelServer]) -> None:
    slow = servers[0]
    slow.says(waiting=40, running=64, cache=0.97)
    write(tmp_path / "mesh.yaml", servers)
    with serving(tmp_path) as (mesh, client):
        until(lambda: None not in _scores(mesh), client)
        before = slow.calls
        assert set(ask(client, 60)) == {200}
        explained = mesh.explain("qwen", path="/v1/chat/completions", body=b'{"messages":[]}')
    # It is left with what its pages of the next second let pass.
    assert slow.calls - before <= 6
    scores = {each.address: each.score for each in explained.backends[0].servers}
    assert scores.pop(slow.address) > 40 > max(scores.values())
    assert f"{slow.address}  40 waiting, 64 running; cache 97 %" in explained.to_text()


def test_a_server_is_drained_and_another_added_by_a_reload(
    tmp_path: Path, servers: list[ModelServer]
) -> None:
    first, second, third = servers
    write(tmp_path / "mesh.yaml", [first, second])
    with serving(tmp_path) as (mesh, client):
        assert set(ask(client, 20)) == {200}
        assert not third.calls
        seen = first.calls
        write(tmp_path / "mesh.yaml", [second, third])
        mesh.reload()
        assert set(ask(client, 20)) == {200}
        assert first.calls == seen
        assert third.calls


def test_a_conversation_stays_with_its_server(tmp_path: Path, servers: list[ModelServer]) -> None:
    write(tmp_path / "mesh.yaml", servers)
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good day"}]
    with serving(tmp_path) as (_, client):
        for _ in range(10):
            assert ask(client, 1, messages=turns) == [200]
            turns += [{"role": "assistant", "content": "Yes"}, {"role": "user", "content": "And?"}]
    assert sorted(server.calls for server in servers) == [0, 0, 10]


def test_a_servers_name_of_a_model_is_sent(tmp_path: Path, servers: list[ModelServer]) -> None:
    write(tmp_path / "mesh.yaml", servers)
    rewrite = {
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferenceModelRewrite",
        "metadata": {"name": "alias"},
        "spec": {
            "poolRef": {"name": "qwen-pool"},
            "rules": [
                {
                    "matches": [{"model": {"value": "qwen"}}],
                    "targets": [{"modelRewrite": "Qwen/Qwen3-32B"}],
                }
            ],
        },
    }
    (tmp_path / "rewrite.yaml").write_text(json.dumps(rewrite))
    with serving(tmp_path) as (mesh, client):
        assert ask(client, 3) == [200, 200, 200]
        explained = mesh.explain(
            "qwen", path="/v1/chat/completions", body=b'{"model":"qwen","messages":[]}'
        )
    assert explained.backends[0].model == "Qwen/Qwen3-32B"
    assert set(sent_models(servers)) == {"Qwen/Qwen3-32B"}


def sent_models(servers: list[ModelServer]) -> list[str]:
    requests = [each for server in servers for each in server.upstream.requests]
    return [each.json()["model"] for each in requests if each.method == "POST"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Answer(body=b"x" * 10_000_000), "is longer than 2097152 bytes"),
        (Answer(body=b"\x00\xffnonsense"), "has none of the metrics"),
        (Answer(404, body=b"no"), "responds with status 404"),
    ],
)
def test_a_page_that_cannot_be_used_is_a_warning(
    tmp_path: Path,
    servers: list[ModelServer],
    caplog: pytest.LogCaptureFixture,
    page: Answer,
    words: str,
) -> None:
    servers[0].page = page
    write(tmp_path / "mesh.yaml", servers)
    with serving(tmp_path) as (_, client), caplog.at_level(logging.WARNING):
        until(lambda: words in caplog.text, client)
        assert set(ask(client, 30)) == {200}
    (record,) = [record for record in caplog.records if words in record.getMessage()]
    assert record.getMessage().startswith(f"qwen-pool.default/{servers[0].address}: /metrics")
    assert all(server.calls for server in servers)


def test_nothing_is_asked_of_servers_that_nobody_calls(
    tmp_path: Path, servers: list[ModelServer]
) -> None:
    write(tmp_path / "mesh.yaml", servers)
    with serving(tmp_path) as (_, client):
        time.sleep(0.05)
        assert [server.pages for server in servers] == [0, 0, 0]
        began_at = time.monotonic()
        ask(client, 20)
        for server in servers:
            server.wait_for_pages(1)
        took_s = time.monotonic() - began_at
    assert all(server.pages <= 1 + took_s / 0.8 for server in servers)


def test_a_server_that_fails_its_checks_gets_nothing_until_it_passes_one(
    tmp_path: Path, servers: list[ModelServer], caplog: pytest.LogCaptureFixture
) -> None:
    bad = servers[0]
    bad.health = 503
    write(tmp_path / "mesh.yaml", servers, spec=CHECKED)
    with serving(tmp_path) as (mesh, client), caplog.at_level(logging.INFO):
        until(lambda: "/health responds with status 503" in caplog.text, client)
        assert _state(mesh, bad) == "ejected"
        seen = bad.calls
        assert set(ask(client, 20)) == {200}
        assert bad.calls == seen
        bad.health = 200
        until(lambda: "/health responds again" in caplog.text, client)
        until(lambda: bad.calls > seen, client)


def test_servers_that_all_fail_their_checks_are_used_nevertheless(
    tmp_path: Path, servers: list[ModelServer], caplog: pytest.LogCaptureFixture
) -> None:
    for server in servers:
        server.health = 500
    write(tmp_path / "mesh.yaml", servers, spec=CHECKED)
    with serving(tmp_path) as (_, client), caplog.at_level(logging.INFO):
        until(lambda: all(f"{each.address}: /health" in caplog.text for each in servers), client)
        assert set(ask(client, 10)) == {200}


def test_a_pool_without_servers_answers_503(tmp_path: Path) -> None:
    write(tmp_path / "mesh.yaml", [])
    with serving(tmp_path) as (_, client):
        assert ask(client, 2) == [503, 503]


def test_a_pool_without_servers_leaves_its_requests_to_the_next_priority(
    tmp_path: Path, servers: list[ModelServer]
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
        "spec": {"host": "b.example", "endpoint": servers[0].upstream.url},
    }
    (tmp_path / "mesh.yaml").write_text(text + "---\n" + json.dumps(provider) + "\n")
    with serving(tmp_path) as (_, client):
        assert ask(client, 3) == [200, 200, 200]
    assert servers[0].calls == 3
