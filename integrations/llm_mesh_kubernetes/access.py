"""Access to the API server: the pod's service account, or a kubeconfig."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from .faults import APIFault

__all__ = ["Access", "load_access"]

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Access:
    """Address and credentials, and the namespace that goes with them."""

    configuration: Configuration
    namespace: str


async def load_access(kubeconfig: str | None, context: str | None) -> Access:
    """Load the service account inside a pod, unless a kubeconfig or context is asked for.

    Raises:
        APIFault: there is neither, or it cannot be used.
    """
    is_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        if is_in_pod and kubeconfig is None and context is None:
            return _of_the_pod()
        return await _of_kubeconfig(kubeconfig, context)
    except (ConfigException, OSError, ValueError) as exc:
        raise APIFault(f"there is no access to a cluster: {exc}", status=401) from exc


def _of_the_pod() -> Access:
    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    namespace = _NAMESPACE_FILE.read_text("ascii").strip() if _NAMESPACE_FILE.exists() else ""
    return Access(configuration, namespace or _DEFAULT_NAMESPACE)


async def _of_kubeconfig(kubeconfig: str | None, context: str | None) -> Access:
    # The library reads KUBECONFIG when it is imported, which may be too early.
    path = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not any(map(os.path.exists, path.split(os.pathsep))):
        raise ConfigException(f"there is no kubeconfig {path}, and this is no pod")
    configuration = Configuration()
    loader = await load_kube_config(
        config_file=path,
        context=context,
        client_configuration=configuration,
        persist_config=False,
    )
    current = loader.current_context or {}
    return Access(configuration, current["context"].get("namespace") or _DEFAULT_NAMESPACE)
