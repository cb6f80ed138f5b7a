"""A cluster as the tests use it: objects are applied, deleted and read over HTTP.

Behind it is the server of this folder, or a real kube-apiserver with its etcd.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from llm_mesh_kubernetes import KubernetesSource

Object = dict[str, Any]

GROUP = "istio.alibabacloud.com"
TOKEN = "token-canary-Zq7Lx4Wv2Tt8Kd"
OLD_POOL_API = "inference.networking.x-k8s.io/v1alpha2"
POOL_API = "inference.networking.k8s.io/v1"
POLICY_API = "llm-mesh.dev/v1alpha1"
PLURALS = {
    "LLMProvider": "llmproviders",
    "LLMRoute": "llmroutes",
    "LLMPolicy": "llmpolicies",
}
_DEADLINE_S = 5.0
FAST = (0.005, 0.05)  # pauses after failures


def eventually(condition: Callable[[], object], deadline_s: float = _DEADLINE_S) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "this never became true"
        time.sleep(0.003)


@dataclass
class Cluster:
    """One namespace of a cluster."""

    url: str
    kubeconfig: Path
    namespace: str
    client: httpx.Client
    version: str = "v1beta1"
    sources: list[KubernetesSource] = field(default_factory=list)

    def source(self, namespace: str | None = None, **options: Any) -> KubernetesSource:
        options = {"kubeconfig": self.kubeconfig, "backoff_s": FAST, "timeout_s": 10.0, **options}
        made = KubernetesSource(namespace, **options)
        self.sources.append(made)
        return made

    def apply(self, item: Object) -> Object:
        """Create the object, or replace it."""
        for _ in range(10):
            answer = self._written(item)
            if answer.status_code != 409:  # a mesh has written its status at the same time
                break
        answer.raise_for_status()
        return dict(answer.json())

    def _written(self, item: Object) -> httpx.Response:
        path = self._path(item["kind"], item["metadata"]["name"])
        old = self.client.get(path)
        if old.status_code == 404:
            return self.client.post(path.rpartition("/")[0], json=item)
        version = old.json()["metadata"]["resourceVersion"]
        metadata = {**item["metadata"], "resourceVersion": version}
        return self.client.put(path, json={**item, "metadata": metadata})

    def delete(self, kind: str, name: str) -> None:
        self.client.delete(self._path(kind, name)).raise_for_status()

    def get(self, kind: str, name: str) -> Object:
        answer = self.client.get(self._path(kind, name))
        answer.raise_for_status()
        return dict(answer.json())

    def patch_status(self, kind: str, name: str, status: Object) -> None:
        headers = {"content-type": "application/merge-patch+json"}
        path = self._path(kind, name) + "/status"
        body = json.dumps({"status": status})
        self.client.patch(path, content=body, headers=headers).raise_for_status()

    def conditions(self, kind: str, name: str) -> dict[str, Object]:
        status = self.get(kind, name).get("status", {})
        return {condition["type"]: condition for condition in status.get("conditions", [])}

    def _path(self, kind: str, name: str) -> str:
        base = f"/apis/{GROUP}/{self.version}" if kind in PLURALS else "/api/v1"
        if kind.startswith("Inference"):
            base = f"/apis/{OLD_POOL_API}"
        apis = {"InferencePool": POOL_API, "LLMPolicy": POLICY_API}
        if kind in apis:
            base = f"/apis/{apis[kind]}"
        plural = PLURALS.get(kind, f"{kind.lower()}s")
        return f"{base}/namespaces/{self.namespace}/{plural}/{name}"


def provider(host: str = "acme.example", openai: Object | None = None, **spec: Any) -> Object:
    """An LLMProvider, named by the first label of its host."""
    configs = {"defaultConfig": {"openAIConfig": openai or {}}}
    return _custom(
        "LLMProvider", host.partition(".")[0], {"host": host, "configs": configs, **spec}
    )


def route(*provider_hosts: str, host: str = "chat.example", name: str = "chat") -> Object:
    """An LLMRoute to the providers."""
    refs = [{"providerHost": each} for each in provider_hosts]
    return _custom("LLMRoute", name, {"host": host, "rules": [{"backendRefs": refs}]})


def policy(name: str = "team", **spec: Any) -> Object:
    """An LLMPolicy."""
    head = {"apiVersion": POLICY_API, "kind": "LLMPolicy", "metadata": {"name": name}}
    return {**head, "spec": spec}


def secret(name: str = "keys", **data: str) -> Object:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def key_from(name: str = "keys", key: str = "token") -> Object:
    """An openAIConfig with its key in a Secret."""
    return {"apiKeyFrom": {"secretKeyRef": {"name": name, "key": key}}}


def _custom(kind: str, name: str, spec: Object) -> Object:
    head = {"apiVersion": f"{GROUP}/v1beta1", "kind": kind, "metadata": {"name": name}}
    return {**head, "spec": spec}


@contextmanager
def connected(
    url: str, folder: Path, *, namespace: str, ca_file: str, token: str = TOKEN
) -> Iterator[Cluster]:
    """A handle on the cluster at `url`; all sources made with it are closed at the end."""
    # Reading one certificate takes no time; the system's bundle takes longer than a test.
    cluster = {"server": url, "certificate-authority": ca_file}
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": context}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path = folder / f"{namespace}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    headers = {"authorization": f"Bearer {token}"}
    verify = unverified()
    with httpx.Client(base_url=url, headers=headers, trust_env=False, verify=verify) as http:
        made = Cluster(url, path, namespace, http)
        try:
            yield made
        finally:
            for source in made.sources:
                source.close()


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
