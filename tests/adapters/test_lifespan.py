"""A bad configuration ends the start-up, and the shutdown closes the connections."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from llm_mesh_middleware import ConfigError, LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import FakeUpstream
from tests.adapters.meshes import own_app
from tests.adapters.wire import CHAT, Client, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MOONSHOT, Providers, running, slow
from tests.reload.versions import manifest, model_of, save

BROKEN = textwrap.dedent(
    """\
    apiVersion: istio.alibabacloud.com/v1
    kind: LLMRoute
    metadata:
      name: astray
    spec:
      host: llm.example
      rules:
      - backendRefs:
        - providerHost: nowhere.example
    """
)

APP = """\
from starlette.applications import Starlette
from llm_mesh_middleware import LLMMeshMiddleware

app = Starlette()
app.add_middleware(LLMMeshMiddleware)
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("http", ["httptools", *slow("h11")])
def test_uvicorn_does_not_start_with_a_broken_manifest(
    broken: Path, tmp_path: Path, http: str
) -> None:
    (tmp_path / "webapp.py").write_text(APP)
    command = "-m", "uvicorn", "webapp:app", "--port", "0", "--http", http
    environment = dict(
        os.environ, LLM_MESH_CONFIG=str(broken), PYTHONPATH=os.pathsep.join(["", *sys.path])
    )
    finished = subprocess.run(
        [sys.executable, *command, "--app-dir", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert finished.returncode == 3
    assert "nowhere.example" in finished.stderr
    assert f"{broken}:9:" in finished.stderr
    assert "Application startup failed" in finished.stderr
    assert "running on" not in finished.stderr


async def test_hypercorn_does_not_start_with_a_broken_manifest(
    broken: Path, providers: Providers
) -> None:
    app = Starlette()
    app.add_middleware(LLMMeshMiddleware, settings=providers.settings(config=(str(broken),)))
    config = HypercornConfig()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None

    async with asyncio.timeout(5):
        with pytest.raises(LifespanFailureError, match="nowhere.example"):
            await hypercorn_serve(app, config)


async def test_without_a_lifespan_the_first_request_raises(
    broken: Path, providers: Providers
) -> None:
    app = LLMMeshMiddleware(own_app, settings=providers.settings(config=(str(broken),)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        for host in (DASHSCOPE, "app.example"):
            with pytest.raises(ConfigError, match="nowhere.example"):
                await client.post(f"http://{host}/", content=CHAT)


async def test_a_missing_key_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, providers: Providers
) -> None:
    monkeypatch.delenv("YOUR_MOONSHOT_API_KEY")
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "lifespan.startup"}

    async def send(message: object) -> None:
        sent.append(dict(message))

    app = LLMMeshMiddleware(own_app, settings=providers.settings())
    with pytest.raises(ConfigError, match="YOUR_MOONSHOT_API_KEY"):
        await app({"type": "lifespan"}, receive, send)

    [message] = sent
    assert message["type"] == "lifespan.startup.failed"
    assert "YOUR_MOONSHOT_API_KEY" in str(message["message"])
    assert DASHSCOPE_KEY not in str(message["message"])


def test_a_test_client_raises_for_a_broken_manifest(broken: Path, providers: Providers) -> None:
    app = LLMMeshMiddleware(Starlette(), settings=providers.settings(config=(str(broken),)))
    with pytest.raises(ConfigError, match="nowhere.example"), TestClient(app):
        raise AssertionError("the application has started")


@pytest.mark.parametrize("app", [own_app, Starlette()], ids=["no lifespan", "lifespan"])
def test_an_idle_application_reloads_its_manifests(tmp_path: Path, app: Any) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest(1))
    mesh = Mesh(file, settings=MeshSettings(reload_interval=0.01))
    with running(LLMMeshMiddleware(app, mesh=mesh), "uvicorn-httptools"):
        save(file, manifest(2))
        deadline = time.monotonic() + 5
        while mesh._live.table.models != {model_of(2)}:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_interval_of_nothing_starts_no_thread(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest(1))
    mesh = Mesh(file, settings=MeshSettings(reload_interval=0))
    before = threading.active_count()
    with TestClient(LLMMeshMiddleware(own_app, mesh=mesh)):
        names = [thread.name for thread in threading.enumerate()]
    assert "llm-mesh-reload" not in names[before:]


def test_a_shutdown_closes_the_upstream_connections(providers: Providers, server: str) -> None:
    with FakeUpstream(host_names=DASHSCOPE, ca=providers.dashscope.ca) as upstream:
        endpoints = {DASHSCOPE: upstream.url, MOONSHOT: providers.moonshot.url}
        app = Starlette()
        app.add_middleware(LLMMeshMiddleware, settings=providers.settings(endpoints=endpoints))
        with running(app, server) as port:
            with Client(port) as client:
                assert client.ask(request_bytes(DASHSCOPE)).status == 200
                assert client.ask(request_bytes(DASHSCOPE)).status == 200
            assert (upstream.open_connections, upstream.accepted_connections) == (1, 1)

        assert upstream.wait_closed()
        assert upstream.open_connections == 0


def test_a_shutdown_closes_them_for_an_app_that_takes_no_part(
    providers: Providers, server: str
) -> None:
    with FakeUpstream(host_names=DASHSCOPE, ca=providers.dashscope.ca) as upstream:
        endpoints = {DASHSCOPE: upstream.url, MOONSHOT: providers.moonshot.url}
        app = LLMMeshMiddleware(own_app, settings=providers.settings(endpoints=endpoints))
        with running(app, server) as port, Client(port) as client:
            assert client.ask(request_bytes(DASHSCOPE)).status == 200

        assert upstream.wait_closed()


async def test_an_app_that_rejects_the_lifespan_is_told_of(
    providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    async def reject(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no such scope here")

    phases, sent = iter(("startup", "shutdown")), []

    async def receive() -> Any:
        return {"type": f"lifespan.{next(phases)}"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    caplog.set_level("INFO", "llm_mesh_middleware")
    app = LLMMeshMiddleware(reject, settings=providers.settings())
    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert "no part in the lifespan: ValueError: no such scope here" in caplog.text


async def test_a_mesh_that_was_closed_can_be_used_again(providers: Providers) -> None:
    with FakeUpstream(host_names=DASHSCOPE, ca=providers.dashscope.ca) as upstream:
        endpoints = {DASHSCOPE: upstream.url, MOONSHOT: providers.moonshot.url}
        mesh = Mesh(settings=providers.settings(endpoints=endpoints))
        app = LLMMeshMiddleware(own_app, mesh=mesh)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            for _ in range(2):
                assert (await client.post(f"http://{DASHSCOPE}/", content=CHAT)).status_code == 200
                await mesh.aclose()
                assert await asyncio.to_thread(upstream.wait_closed)
