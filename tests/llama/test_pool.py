"""Three llama.cpp servers as a pool: read, killed, hung, busy, drained and added."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from tests.llama.servers import LlamaServer, require_llama
from tests.resilience.test_pools import write

pytestmark = pytest.mark.e2e

URL = "http://qwen/v1/chat/completions"
NUMBERS = itertools.count()


def short(content: str) -> dict[str, object]:
    """A request for four tokens."""
    messages = [{"role": "user", "content": content}]
    return {"model": "smol", "max_tokens": 4, "messages": messages}


@pytest.fixture
def servers() -> Iterator[list[LlamaServer]]:
    require_llama()
    with ExitStack() as stack:
        yield [stack.enter_context(LlamaServer()) for _ in range(3)]


@contextmanager
def serving(folder: Path, servers: list[LlamaServer]) -> Iterator[tuple[Mesh, httpx.Client]]:
    check = {"activeCheck": {"path": "/health", "interval": "200ms"}}
    write(folder / "mesh.yaml", servers, spec=check)
    mesh = Mesh(folder, settings=MeshSettings())
    with httpx.Client(transport=MeshTransport(mesh), timeout=60) as client:
        yield mesh, client
    mesh.close()


def ask(client: httpx.Client, times: int, *, at_once: int = 3) -> list[int]:
    """Send short requests, no two of one conversation; return their statuses."""

    def one(number: int) -> int:
        return client.post(URL, json=short(f"{number}: say hello.")).status_code

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(one, itertools.islice(NUMBERS, times)))


@contextmanager
def occupied(server: LlamaServer) -> Iterator[None]:
    """Let sixteen long answers be asked of a server, past the mesh; it has two slots."""
    turn = {"role": "user", "content": "Tell a long story."}
    long = {"max_tokens": 400, "messages": [turn]}

    def occupy(_: int) -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{server.url}/v1/chat/completions", json=long, timeout=120)

    with ThreadPoolExecutor(16) as threads:
        calls = threads.map(occupy, range(16))
        try:
            yield
        finally:
            server.kill()
            list(calls)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(mesh: Mesh, server: LlamaServer) -> str:
    return mesh.health()[f"qwen-pool.default/{server.address}"].state


def test_its_load_is_read(tmp_path: Path, servers: list[LlamaServer]) -> None:
    with serving(tmp_path, servers) as (mesh, client):

        def scores() -> list[float | None]:
            explained = mesh.explain("qwen", path="/v1/chat/completions", body=b'{"messages":[]}')
            return [server.score for server in explained.backends[0].servers]

        def are_known() -> bool:
            assert ask(client, 1) == [200]
            return None not in scores()

        eventually(are_known)


def test_no_request_fails_while_servers_are_killed(
    tmp_path: Path, servers: list[LlamaServer]
) -> None:
    with serving(tmp_path, servers) as (_, client):
        assert set(ask(client, 12)) == {200}
        assert all(server.predicted() > 0 for server in servers)
        with ThreadPoolExecutor(1) as killer:
            killing = killer.submit(servers[0].kill)
            assert set(ask(client, 12)) == {200}
            killing.result()
        servers[1].kill()
        assert set(ask(client, 12)) == {200}


def test_a_server_that_hangs_is_found_out_and_found_again(
    tmp_path: Path, servers: list[LlamaServer]
) -> None:
    with serving(tmp_path, servers) as (mesh, client):
        assert set(ask(client, 3)) == {200}
        servers[0].stop()
        eventually(lambda: state(mesh, servers[0]) == "ejected")
        assert set(ask(client, 9)) == {200}
        servers[0].go_on()
        eventually(lambda: state(mesh, servers[0]) == "healthy")
        assert set(ask(client, 9)) == {200}


def test_a_server_with_a_queue_gets_nothing(tmp_path: Path, servers: list[LlamaServer]) -> None:
    busy, *others = servers
    with serving(tmp_path, servers) as (mesh, client), occupied(busy):

        def is_known() -> bool:
            # Until its load is read, a request may go to the busy server, and would queue there.
            with contextlib.suppress(httpx.TimeoutException):
                client.post(URL, json=short("hello"), timeout=10)
            explained = mesh.explain("qwen", path="/v1/chat/completions", body=b'{"messages":[]}')
            return (explained.backends[0].servers[0].score or 0) > 8

        eventually(is_known)
        before = [server.predicted() for server in others]
        assert set(ask(client, 9)) == {200}
        made = [server.predicted() - count for server, count in zip(others, before, strict=True)]
        assert sum(made) == 9 * 4


def test_servers_come_and_go(tmp_path: Path, servers: list[LlamaServer]) -> None:
    first, second, third = servers
    with serving(tmp_path, [first, second]) as (mesh, client):
        assert set(ask(client, 6)) == {200}
        write(tmp_path / "mesh.yaml", [second, third])
        mesh.reload()
        seen = first.predicted()
        assert set(ask(client, 9)) == {200}
        assert first.predicted() == seen
        assert third.predicted() > 0
