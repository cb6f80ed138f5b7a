"""`Mesh(environ=...)`: keys from another environment than the process's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_mesh_middleware import ConfigError, Mesh
from llm_mesh_middleware.inbound import ClientRequest, Headers
from llm_mesh_middleware.testing import MemoryUpstream
from tests.canaries import canary

HOST = b"llm.example"
MANIFEST = """\
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata:
  name: example
spec:
  host: llm.example
  configs:
    defaultConfig:
      openAIConfig:
        model: m
        {key}
"""


@pytest.fixture(params=["apiKey: ${CANARY}", "apiKeyFrom: {env: CANARY}"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(MANIFEST.format(key=request.param), "utf-8")
    return path


def key_sent(mesh: Mesh, upstream: MemoryUpstream) -> str | None:
    host = mesh.find(HOST)
    assert host is not None
    mesh.send(host, ClientRequest("POST", "/", Headers([]), b'{"messages": []}')).close()
    return upstream.requests[-1].header("authorization")


def test_a_key_is_read_from_the_environment_that_is_given(manifest: Path) -> None:
    upstream, environ = MemoryUpstream(), {"CANARY": canary("first")}
    mesh = Mesh(manifest, transport=upstream, environ=environ)

    assert key_sent(mesh, upstream) == f"Bearer {canary('first')}"
    environ["CANARY"] = canary("second")
    assert mesh.reload().state == "ok"
    assert key_sent(mesh, upstream) == f"Bearer {canary('second')}"
    mesh.close()


def test_the_process_s_own_is_then_not_looked_at(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", canary("of the process"))

    with pytest.raises(ConfigError, match="CANARY"):
        Mesh(manifest, environ={})
    upstream = MemoryUpstream()
    with_its_own = Mesh(manifest, transport=upstream)
    assert key_sent(with_its_own, upstream) == f"Bearer {canary('of the process')}"
    with_its_own.close()
