"""Servers of pools and mirrors in the view: what they say, over all workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.observing import MirrorOutcome
from llm_mesh_middleware.testing import FakeUpstream
from llm_mesh_middleware.view._feeding.backends import merge_mirrors, merge_servers
from llm_mesh_middleware.view._source import Source
from llm_mesh_middleware.view._watching.hub import Hub
from llm_mesh_middleware.view._watching.mirrors import Mirrors
from llm_mesh_middleware.view.backends import MirrorReport, ServerReport, ServerState
from llm_mesh_middleware.view.values import Report, key_of
from tests.resilience.meshes import PRIMARY, provider, route
from tests.resilience.model_servers import ModelServer
from tests.resilience.test_mirrors import Outcomes, asking
from tests.resilience.test_pools import ask, until, write

PAGE = {"waiting": 7, "running": 3, "cache": 0.5, "adapters": "lora"}


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(2)]


@pytest.fixture
def primary() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


@pytest.fixture
def fallback() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


def report(**changes: object) -> Report:
    return Report(1, 0, [], [], [], {}, **changes)  # type: ignore[arg-type]


def test_a_pool_shows_its_servers_and_their_load(
    tmp_path: Path, servers: list[ModelServer]
) -> None:
    servers[0].says(**PAGE)
    write(tmp_path / "mesh.yaml", servers)
    mesh = Mesh(tmp_path, settings=MeshSettings())
    source = Source(mesh, Hub(mesh))
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        name = f"qwen-pool.default/{servers[0].address}"
        assert set(ask(client, 3)) == {200}

        def is_known() -> bool:
            server = source.take().servers.get(name)
            return server is not None and server.waiting is not None

        until(is_known, client)
        snapshot = source.take()
    mesh.close()
    assert snapshot.servers[name] == ServerState("healthy", 0, 0, 7, 3, 0.5, ("lora",))
    assert len(snapshot.servers) == 2
    assert snapshot.providers["qwen-pool.default"].state == "healthy"


def test_workers_that_find_a_server_otherwise_are_added_up() -> None:
    seen = ServerReport("healthy", 2), ServerReport("ejected", 1, 7, 3, 0.5)
    merged = merge_servers([report(servers={"a/1:2": one}) for one in seen])
    assert merged == {"a/1:2": ServerState("ejected", 1, 3, 7, 3, 0.5)}


def test_copies_are_counted(primary: FakeUpstream, fallback: FakeUpstream) -> None:
    mirror = {"providerHost": "fallback.example"}
    documents = provider("primary", primary), provider("fallback", fallback)
    mesh = Mesh((*documents, route(PRIMARY, mirrors=[mirror])), settings=MeshSettings())
    hub = Hub(mesh)
    outcomes = Outcomes()
    mesh.observe(outcomes)
    mesh.observe(hub)
    host = mesh.find(b"llm")
    assert host is not None
    for _ in range(2):
        mesh.send(host, asking()).close()
    outcomes.wait(2)
    # Observers are told one after another: `hub` after `outcomes`.
    deadline = time.monotonic() + 10
    while sum(each.counts["success"] for each in hub.report().mirrors) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (found,) = Source(mesh, hub).take().mirrors.values()
    assert found.counts == {"success": 2, "same_finish": 2}
    mesh.close()


def test_copies_of_all_workers_are_added_up() -> None:
    key = ("h", "r", "p")
    reports = [
        report(mirrors=[MirrorReport(key, {"success": 2, "same_finish": 1})]),
        report(mirrors=[MirrorReport(key, {"success": 1, "skipped_busy": 4})]),
    ]
    (name, found), *_ = merge_mirrors(reports).items()
    assert name == key_of(*key)
    assert found.counts == {"success": 3, "same_finish": 1, "skipped_busy": 4}


def test_copies_are_forgotten_after_five_minutes_and_bounded() -> None:
    mirrors = Mirrors()
    for number in range(600):
        mirrors.add("h", f"r{number}", MirrorOutcome("p", "m", "error"), 1_000)
    assert len(mirrors.reports(1_000)) == 500
    assert mirrors.reports(1_400) == []
