"""Active checks while nobody calls: where they begin and end, and what they change."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import Gate
from tests.resilience.model_servers import ModelServer
from tests.resilience.test_pools import ask, write

CHECK = {"activeCheck": {"path": "/health", "interval": "20ms"}}
THREAD = "llm-mesh-checks"


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(2)]


@pytest.fixture
def mesh(tmp_path: Path, servers: list[ModelServer]) -> Iterator[Mesh]:
    write(tmp_path / "mesh.yaml", servers, spec=CHECK)
    made = Mesh(tmp_path, settings=MeshSettings())
    yield made
    made.close()


def call(mesh: Mesh, times: int = 1) -> list[int]:
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        return ask(client, times)


def state(mesh: Mesh, server: ModelServer) -> str:
    return mesh.health()[f"qwen-pool.default/{server.address}"].state


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == THREAD]


def test_a_server_goes_and_returns_while_nobody_calls(
    mesh: Mesh, servers: list[ModelServer]
) -> None:
    bad, good = servers
    assert call(mesh) == [200]
    bad.health = 503
    eventually(lambda: state(mesh, bad) == "ejected")
    seen = bad.calls
    assert call(mesh, 10) == [200] * 10
    assert (bad.calls, state(mesh, good)) == (seen, "healthy")
    bad.health = 200
    eventually(lambda: state(mesh, bad) == "healthy")


def test_nothing_is_checked_before_a_process_serves(mesh: Mesh, servers: list[ModelServer]) -> None:
    mesh.explain("qwen")
    assert [server.checks for server in servers] == [0, 0]
    assert threads() == []
    mesh.warm_up()
    for server in servers:
        server.wait_for_checks(2)
    assert [server.pages for server in servers] == [0, 0]


def test_metrics_are_not_read_while_nobody_calls(mesh: Mesh, servers: list[ModelServer]) -> None:
    mesh.warm_up()
    for server in servers:
        server.wait_for_checks(5)
    assert [server.pages for server in servers] == [0, 0]


def test_without_checks_there_is_no_thread(tmp_path: Path, servers: list[ModelServer]) -> None:
    write(tmp_path / "mesh.yaml", servers)
    mesh = Mesh(tmp_path, settings=MeshSettings())
    mesh.warm_up()
    assert call(mesh) == [200]
    assert threads() == []
    mesh.close()


def test_one_thread_is_enough(mesh: Mesh) -> None:
    mesh.warm_up()
    assert call(mesh, 5) == [200] * 5
    assert len(threads()) == 1


def test_checks_end_with_the_mesh_and_begin_with_its_next_request(
    mesh: Mesh, servers: list[ModelServer]
) -> None:
    call(mesh)
    servers[0].wait_for_checks(2)
    mesh.close()
    eventually(lambda: threads() == [])
    assert call(mesh) == [200]
    servers[0].wait_for_checks(2)


def test_a_mesh_that_is_forgotten_is_checked_no_more(
    tmp_path: Path, servers: list[ModelServer]
) -> None:
    write(tmp_path / "mesh.yaml", servers, spec=CHECK)
    Mesh(tmp_path, settings=MeshSettings()).warm_up()

    def is_gone() -> bool:
        gc.collect()
        return threads() == []

    eventually(is_gone)


def test_a_reload_brings_checks_and_takes_them(tmp_path: Path, servers: list[ModelServer]) -> None:
    path = tmp_path / "mesh.yaml"
    write(path, servers[:1])
    mesh = Mesh(tmp_path, settings=MeshSettings())
    call(mesh)
    write(path, servers, spec=CHECK)
    mesh.reload()
    for server in servers:
        server.wait_for_checks(2)
    write(path, servers)
    mesh.reload()
    eventually(lambda: threads() == [])
    mesh.close()


def test_a_server_that_hangs_holds_up_no_other(mesh: Mesh, servers: list[ModelServer]) -> None:
    slow, good = servers
    slow.delay = gate = Gate()
    try:
        mesh.warm_up()
        eventually(lambda: bool(mesh.health()) and state(mesh, slow) == "ejected")
        good.wait_for_checks(3)
        assert state(mesh, good) == "healthy"
    finally:
        gate.open()


def test_an_application_is_checked_for_from_its_start_to_its_shutdown(
    mesh: Mesh, servers: list[ModelServer]
) -> None:
    with TestClient(LLMMeshMiddleware(Starlette(), mesh=mesh)):
        servers[1].wait_for_checks(2)
    eventually(lambda: threads() == [])


FORKING = """
import os, sys, threading
from llm_mesh_middleware import Mesh, MeshSettings

def count():
    return [thread.name for thread in threading.enumerate()].count("llm-mesh-checks")

mesh = Mesh(sys.argv[1], settings=MeshSettings())
mesh.warm_up()
child = os.fork()
if child == 0:
    before = count()
    mesh.warm_up()
    os._exit(0 if (before, count()) == (0, 1) else 1)
result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(result or count() - 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_checks_for_itself(tmp_path: Path, servers: list[ModelServer]) -> None:
    write(tmp_path / "mesh.yaml", servers, spec=CHECK)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
