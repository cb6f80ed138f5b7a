"""Numbered versions of one manifest: model and key carry the number, so that a mixture shows."""

from __future__ import annotations

import os
from pathlib import Path

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._auth.static_key import StaticHeader
from llm_mesh_middleware._core.provider.upstream import Upstream
from tests.canaries import canary

HOST = "llm.example"


def key_of(number: int) -> str:
    return canary(f"reload {number}")


def model_of(number: int) -> str:
    return f"m-{number:06d}"


def manifest(number: int, *, host: str = HOST, key: str | None = None, spec: str = "") -> str:
    """The provider `llm.example`; `key` is YAML that says where its key comes from."""
    return f"""\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: {host.partition(".")[0]}
spec:
  host: {host}
  path: /v1/chat/completions
{spec}\
  configs:
    defaultConfig:
      openAIConfig:
        model: {model_of(number)}
{key or f"        apiKey: {key_of(number)}"}
"""


def save(path: Path, text: str) -> None:
    """Write the way editors do: a new file takes the old one's name."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    os.replace(fresh, path)


def project(directory: Path, generation: str, text: str) -> Path:
    """Write the way Kubernetes mounts a ConfigMap: a link to a link that is swapped as one."""
    (directory / generation).mkdir()
    (directory / generation / "mesh.yaml").write_text(text)
    (directory / "..data.new").symlink_to(generation)
    os.replace(directory / "..data.new", directory / "..data")
    link = directory / "mesh.yaml"
    if not link.is_symlink():
        link.symlink_to("..data/mesh.yaml")
    return link


def upstream_in_use(mesh: Mesh, host: str = HOST) -> Upstream:
    """What the next request would be sent to."""
    found = mesh.find(host.encode())
    assert found is not None
    (backend,) = found.rules[0].backends
    return backend.upstream


def model_in_use(mesh: Mesh) -> str | None:
    return upstream_in_use(mesh).model


def key_in_use(mesh: Mesh) -> str:
    (credential, *_) = upstream_in_use(mesh).credentials.values()
    assert isinstance(credential, StaticHeader)
    return credential.value.decode().removeprefix("Bearer ")
