"""Configuration from a Kubernetes cluster: its LLM documents and the Secrets they name.

from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_middleware import Mesh

mesh = Mesh(KubernetesSource())
"""

from __future__ import annotations

try:
    import kubernetes_asyncio as _client  # noqa: F401 - asked for here, so that one place says it
except ModuleNotFoundError as exc:
    if exc.name != "kubernetes_asyncio":
        raise
    message = "kubernetes_asyncio is missing: install llm-mesh-middleware[kubernetes]"
    raise ModuleNotFoundError(message, name=exc.name) from exc

from .source import KubernetesSource

__all__ = ["KubernetesSource"]

KubernetesSource.__module__ = __name__
