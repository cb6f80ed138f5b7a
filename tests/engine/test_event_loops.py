"""Event loops and threads that are not what the mesh was made for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.engine.calls import HOST
from tests.engine.meshes import provider
from tests.processes import ROOT, clean_environment

PROGRAM = Path(__file__).with_name("gevent_patched.py")

MANIFESTS = """
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {name: example}
spec:
  host: llm.example
  configs: {defaultConfig: {openAIConfig: {model: m, apiKey: a}}}
"""


async def _never(*_: object) -> dict[str, Any]:
    raise AssertionError


def _asend(mesh: Mesh) -> Coroutine[Any, Any, Any]:
    host = mesh.find(HOST.encode())
    assert host is not None
    return mesh.asend(host, ClientRequest("POST", "/", Headers(), b"{}"))


def _serve(mesh: Mesh) -> Coroutine[Any, Any, Any]:
    headers = [(b"host", HOST.encode()), (b"content-length", b"2")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }
    return LLMMeshMiddleware(_never, mesh=mesh)(scope, _never, _never)


@pytest.mark.parametrize("start", [_asend, _serve])
def test_a_loop_that_is_not_asyncio_s_is_refused_by_name(start: Any) -> None:
    """Any other loop steps a coroutine without being asyncio's running one."""
    with FakeUpstream(tls=False) as upstream:
        mesh = Mesh([provider()], settings=MeshSettings(endpoints=upstream.endpoints))
        with pytest.raises(RuntimeError, match="needs a running asyncio event loop"):
            start(mesh).send(None)
        mesh.close()


@pytest.mark.slow
def test_a_mesh_that_was_made_before_gevent_patched_the_process_calls_over_tls(
    tmp_path: Path, ca: CertificateAuthority, ca_file: str
) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text(MANIFESTS)
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), str(config), ca_file, json.dumps(upstream.endpoints)],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("200\n", "", 0)
