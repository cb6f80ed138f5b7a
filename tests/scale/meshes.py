"""Sidecars that share one configuration, one upstream and one store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.canaries import canary
from tests.processes import Program, sidecar

__all__ = ["HOST", "Mesh", "meshes"]

HOST = "llm"
_TICKS = os.sysconf("SC_CLK_TCK")
_MANIFEST = """
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {{name: it}}
spec:
  host: models.example
  endpoint: {url}
  configs: {{defaultConfig: {{openAIConfig: {{model: m, apiKey: {key}}}}}}}
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {{name: chat}}
spec:
  host: llm
  rules:
  - backendRefs: [{{providerHost: models.example}}]
"""
_POLICY = """
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: shared}}
spec:
  limits:
  - {limit}
"""


@dataclass(frozen=True, slots=True)
class Mesh:
    """One process."""

    program: Program
    url: str

    def cpu_s(self) -> float:
        """The processor time that it has used."""
        stat = Path(f"/proc/{self.program.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS


@contextmanager
def meshes(
    count: int, folder: Path, *, upstream: str, store: str, limit: str | None
) -> Iterator[list[Mesh]]:
    """Start `count` processes with one limit, written in YAML, or none."""
    config = folder / "mesh.yaml"
    text = _MANIFEST.format(url=upstream, key=canary("scale"))
    config.write_text(text + (_POLICY.format(limit=limit) if limit else ""))
    environ = {"LLM_MESH_STORE": store, "LLM_MESH_STORE_TIMEOUT": "10"}
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            program, url = sidecar(config, environ)
            found.append(Mesh(stack.enter_context(program), url))
        yield found
