"""Pools of model servers from a cluster: which pods serve, as they come and go."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import yaml

from llm_mesh_httpx import MeshTransport
from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_middleware import ConfigError, Mesh, MeshSettings
from llm_mesh_middleware.config import InferencePool
from llm_mesh_middleware.testing import FakeUpstream
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import OLD_POOL_API, POOL_API, Cluster, eventually, provider

Object = dict[str, Any]
LABELS = {"app": "vllm-qwen"}


def pool(port: int = 8000, **spec: Any) -> Object:
    own = {"selector": {"matchLabels": LABELS}, "targetPorts": [{"number": port}]}
    head = {"apiVersion": POOL_API, "kind": "InferencePool", "metadata": {"name": "qwen"}}
    return {**head, "spec": own | spec}


def route(name: str = "chat", host: str = "chat") -> Object:
    ref = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "qwen"}
    head = {"apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "LLMRoute"}
    rules = [{"name": "main", "backendRefs": [{"backendRef": ref}]}]
    return {**head, "metadata": {"name": name}, "spec": {"host": host, "rules": rules}}


def add_pod(
    cluster: Cluster, name: str, ip: str, *, is_ready: bool = True, labels: Object | None = None
) -> None:
    """Create a pod, and say what became of it as a kubelet does."""
    metadata = {"name": name, "labels": LABELS if labels is None else labels}
    spec = {"containers": [{"name": "vllm", "image": "vllm"}]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    set_ready(cluster, name, ip, is_ready=is_ready)


def set_ready(cluster: Cluster, name: str, ip: str, *, is_ready: bool) -> None:
    condition = {"type": "Ready", "status": "True" if is_ready else "False"}
    status = {"podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
    cluster.patch_status("Pod", name, status)


def endpoints(source: KubernetesSource) -> tuple[str, ...] | None:
    """The endpoints of the pool that a source loads, None without a pool."""
    for resource in source.load().resources:
        if isinstance(resource.model, InferencePool):
            return resource.model.spec.endpoints
    return None


def test_the_pods_of_a_pool_are_followed(double: Cluster) -> None:
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    add_pod(double, "other", "10.0.0.9", labels={"app": "web"})
    source = double.source()
    assert endpoints(source) == ("10.0.0.1",)

    add_pod(double, "b", "10.0.0.2", is_ready=False)
    set_ready(double, "b", "10.0.0.2", is_ready=True)
    eventually(lambda: endpoints(source) == ("10.0.0.1", "10.0.0.2"))

    set_ready(double, "a", "10.0.0.1", is_ready=False)
    eventually(lambda: endpoints(source) == ("10.0.0.2",))

    add_pod(double, "c", "fd00::7")
    eventually(lambda: endpoints(source) == ("10.0.0.2", "[fd00::7]"))

    double.delete("Pod", "b")
    eventually(lambda: endpoints(source) == ("[fd00::7]",))

    double.delete("Pod", "c")
    eventually(lambda: endpoints(source) == ())


def test_a_pod_that_is_being_deleted_is_drained(double: Cluster) -> None:
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    source = double.source()
    assert endpoints(source) == ("10.0.0.1",)

    pod = double.get("Pod", "a")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    double.apply(pod)

    eventually(lambda: endpoints(source) == ())


def test_another_selector_selects_others(double: Cluster) -> None:
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    add_pod(double, "b", "10.0.0.2", labels={"app": "sglang", "tier": "gold"})
    source = double.source()
    assert endpoints(source) == ("10.0.0.1",)

    double.apply(pool(selector={"matchLabels": {"app": "sglang", "tier": "gold"}}))
    eventually(lambda: endpoints(source) == ("10.0.0.2",))

    double.apply(pool(selector={"app": "vllm-qwen"}))  # as v1alpha2 has it
    eventually(lambda: endpoints(source) == ("10.0.0.1",))

    double.apply(pool(selector={"matchLabels": {}}))
    eventually(lambda: endpoints(source) == ())


def test_what_changes_no_address_is_no_change(double: Cluster) -> None:
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    source = double.source()
    assert endpoints(source) == ("10.0.0.1",)
    before = source.fingerprint()

    double.patch_status("Pod", "a", {"phase": "Running"})
    add_pod(double, "b", "10.0.0.2")

    eventually(lambda: endpoints(source) == ("10.0.0.1", "10.0.0.2"))
    assert source.fingerprint() == before + 1  # type: ignore[operator]


def test_without_a_route_to_a_pool_nothing_of_pools_is_asked(
    double: Cluster, server: APIServer
) -> None:
    double.apply(pool())
    double.apply(provider("a.example"))
    source = double.source()
    assert endpoints(source) is None
    assert not [seen for seen in server.seen if "pods" in seen.path or "inference" in seen.path]


def test_a_pool_that_does_not_exist_is_an_error(double: Cluster) -> None:
    double.apply(route())
    with pytest.raises(ConfigError, match=r"no InferencePool is named team/qwen"):
        Mesh(double.source(), settings=MeshSettings())


def test_without_the_right_to_see_pods_a_pool_serves_nothing(
    double: Cluster, server: APIServer
) -> None:
    server.refuse("pods", 403)
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    mesh = Mesh(double.source(), settings=MeshSettings())
    (problem,) = mesh.status().problems
    assert problem.severity == "warning"
    assert "selects no ready server" in problem.message


def test_the_status_of_a_pool_is_left_alone(double: Cluster, server: APIServer) -> None:
    double.apply(pool())
    double.apply(route())
    mesh = Mesh(double.source(), settings=MeshSettings())
    assert mesh.status().state == "ok"
    eventually(lambda: double.conditions("LLMRoute", "chat"))
    assert {seen.path.split("/")[-3] for seen in server.writes()} == {"llmroutes"}


def test_a_pod_serves_as_soon_as_it_is_ready(double: Cluster) -> None:
    with FakeUpstream(tls=False) as server:
        serve_from(double, server)


def serve_from(double: Cluster, server: FakeUpstream) -> None:
    double.apply(pool(server.port))
    double.apply(route())
    mesh = Mesh(double.source(), settings=MeshSettings(reload_interval=1e-9))
    body = {"model": "qwen", "messages": [{"role": "user", "content": "Hello"}]}
    with httpx.Client(transport=MeshTransport(mesh)) as client:

        def status() -> int:
            return client.post("http://chat/v1/chat/completions", json=body).status_code

        assert status() == 503
        add_pod(double, "a", "127.0.0.1")
        eventually(lambda: status() == 200)
        assert server.requests[-1].header("host") == "qwen.team"
        assert list(mesh.health()) == ["qwen.team"]
        double.delete("Pod", "a")
        eventually(lambda: status() == 503)
        assert list(mesh.health()) == []
    mesh.close()


# The documents of the documentation in their fullest form: a pool of vLLM servers and its picker,
# the name of its model, and a route to it.
ASM = """
apiVersion: inference.networking.x-k8s.io/VERSION
kind: InferencePool
metadata:
  labels: {app: vllm-llama2-7b-pool}
  name: vllm-llama2-7b-pool
spec:
  targetPortNumber: PORT
  selector: {app: vllm-llama2-7b-pool}
  extensionRef:
    group: ""
    kind: Service
    name: vllm-llama2-7b-epp
    portNumber: 9002
    failureMode: FailOpen
---
apiVersion: inference.networking.x-k8s.io/VERSION
kind: InferenceModel
metadata: {name: tweet-summary}
spec:
  modelName: tweet-summary
  criticality: Critical
  poolRef: {group: inference.networking.x-k8s.io, kind: InferencePool, name: vllm-llama2-7b-pool}
  targetModels:
  - {name: tweet-summary-1, weight: 100}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {name: test-llm-route}
spec:
  gateways: [mesh]
  host: test.com
  rules:
  - backendRefs:
    - backendRef:
        group: inference.networking.x-k8s.io
        kind: InferencePool
        name: vllm-llama2-7b-pool
"""


@pytest.mark.parametrize("version", ["v1alpha2", "v1alpha1"])
def test_the_documents_of_asm_work_unchanged(double: Cluster, version: str) -> None:
    text = ASM.replace("VERSION", version)
    with FakeUpstream(tls=False) as server:
        for document in yaml.safe_load_all(text.replace("PORT", str(server.port))):
            plural = f"{document['kind'].lower()}s"
            path = f"/apis/{document['apiVersion']}/namespaces/team/{plural}"
            double.client.post(path, json=document).raise_for_status()
        add_pod(double, "a", "127.0.0.1", labels={"app": "vllm-llama2-7b-pool"})
        mesh = Mesh(double.source(), settings=MeshSettings())
        assert mesh.status().problems == ()
        body = {"model": "tweet-summary", "messages": [{"role": "user", "content": "Hello"}]}
        with httpx.Client(transport=MeshTransport(mesh)) as client:
            reply = client.post("http://test.com/v1/chat/completions", json=body)
        assert reply.status_code == 200
        sent = [each for each in server.requests if each.method == "POST"]
        assert [each.json()["model"] for each in sent] == ["tweet-summary-1"]
        mesh.close()


def test_rewrites_are_followed(double: Cluster) -> None:
    double.apply(pool())
    double.apply(route())
    source = double.source()
    before = source.fingerprint(), source.load()
    head = {"apiVersion": OLD_POOL_API, "kind": "InferenceModelRewrite"}
    rules = [{"targets": [{"modelRewrite": "base"}]}]
    spec = {"poolRef": {"name": "qwen"}, "rules": rules}
    double.apply({**head, "metadata": {"name": "all"}, "spec": spec})
    other = {"poolRef": {"name": "other"}, "rules": rules}
    double.apply({**head, "metadata": {"name": "others"}, "spec": other})
    expected = ["chat", "qwen", "all"]
    eventually(lambda: [resource.name for resource in source.load().resources] == expected)
    assert source.fingerprint() != before[0]


def test_a_cluster_without_rewrites_is_no_reason_to_warn(
    double: Cluster, server: APIServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuse("inferencemodelrewrites", 404)
    server.refuse("inferencemodels", 403)
    double.apply(pool())
    double.apply(route())
    add_pod(double, "a", "10.0.0.1")
    assert endpoints(double.source()) == ("10.0.0.1",)
    assert "inferencemodel" not in caplog.text
