"""`llm-mesh serve --view`: a listener of its own, over all workers, and nothing of it elsewhere."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from llm_mesh_middleware.cli import main
from tests.canaries import watched
from tests.cli.conftest import Sidecar, _serve
from tests.conftest import DASHSCOPE, DEMO, Providers
from tests.rows import rows

pytestmark = pytest.mark.slow

CHAT = {"messages": [{"role": "user", "content": "hello"}]}


def start(providers: Providers, folder: Path, *options: str) -> Iterator[tuple[Sidecar, str]]:
    for sidecar in _serve(providers, folder / "log", "--view", "127.0.0.1:0", *options):
        found = re.search(r"shown at (http://127\.0\.0\.1:\d+)/", sidecar.output)
        assert found is not None
        yield sidecar, found[1]


@pytest.fixture(params=["1", "3"])
def shown(
    providers: Providers, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Sidecar, str]]:
    yield from start(providers, tmp_path, "--workers", request.param)


def call(sidecar: Sidecar, host: str = DASHSCOPE) -> httpx.Response:
    url = f"http://127.0.0.1:{sidecar.port}/"
    return httpx.post(url, json=CHAT, headers={"host": host}, trust_env=False)


def snapshot(url: str) -> dict[str, Any]:
    response = httpx.get(f"{url}/snapshot.json", trust_env=False)
    watched("the view", response.text)
    found: dict[str, Any] = response.json()
    return found


def wait_for(url: str, calls: int, workers: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        found = snapshot(url)
        if (len(found["calls"]), found["workers"]) == (calls, workers):
            return found
        assert time.monotonic() < deadline, (len(found["calls"]), found["workers"])
        time.sleep(0.05)


def test_one_view_shows_the_calls_of_all_workers(shown: tuple[Sidecar, str]) -> None:
    sidecar, url = shown
    arguments = list(sidecar.process.args)  # type: ignore[arg-type]
    workers = int(arguments[arguments.index("--workers") + 1])
    for _ in range(30):
        assert call(sidecar, DEMO).status_code == 200
    found = wait_for(url, 30, workers)
    assert len({each["id"] for each in found["calls"]}) == 30
    edges = {key.split("\x1f")[2]: each["calls"] for key, each in found["edges"].items()}
    assert set(edges) == {"dashscope-qwen", "moonshot"}


def test_the_mesh_itself_does_not_serve_the_view(shown: tuple[Sidecar, str]) -> None:
    sidecar, url = shown
    for path in ("/", "/snapshot.json", "/events"):
        on_mesh = httpx.get(f"http://127.0.0.1:{sidecar.port}{path}", trust_env=False)
        assert on_mesh.status_code == 404
    assert httpx.post(f"{url}/", json=CHAT, headers={"host": DASHSCOPE}).status_code == 421


def test_an_open_viewer_does_not_hold_up_the_end(shown: tuple[Sidecar, str]) -> None:
    sidecar, url = shown
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{url}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        begun = time.monotonic()
        assert sidecar.stop() == 0
        assert time.monotonic() - begun < 20  # a stream that is left alone takes longer
        assert json.loads(next(line for line in lines if line.startswith("data: "))[6:])


@rows("address", ["x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "h:²"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    done = CliRunner().invoke(main, ["serve", "--config", "x.yaml", "--view", address])
    assert done.exit_code == 2
    assert "expected HOST:PORT" in done.output
