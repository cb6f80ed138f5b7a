"""What a source has of a cluster, and that it follows its changes."""

from __future__ import annotations

from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_middleware import MeshSettings
from llm_mesh_middleware._mesh.live_config import compile_source
from llm_mesh_middleware.config import LLMProvider
from llm_mesh_middleware.sources import ConfigSource, Manifest
from tests.canaries import canary
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import (
    Cluster,
    eventually,
    key_from,
    policy,
    provider,
    route,
    secret,
)

KEY = canary("cluster")


def names(manifest: Manifest) -> list[str]:
    return [resource.source for resource in manifest.resources]


def hosts(source: KubernetesSource) -> list[str]:
    return [
        resource.model.spec.host
        for resource in source.load().resources
        if isinstance(resource.model, LLMProvider)
    ]


def key(source: KubernetesSource, cluster: Cluster, name: str = "keys") -> bytes | str | None:
    """What is known of a Secret's `token`: its value, or the fault."""
    found = (source.load().secrets or {}).get((cluster.namespace, name))
    return None if found is None else found.fault or found.data.get("token")


def test_it_is_a_source() -> None:
    assert isinstance(KubernetesSource(), ConfigSource)


def test_the_first_load_has_what_is_there(cluster: Cluster) -> None:
    cluster.apply(route("acme.example"))
    cluster.apply(provider("globex.example"))
    cluster.apply(provider("acme.example"))
    manifest = cluster.source().load()

    assert manifest.problems == ()
    assert names(manifest) == [
        f"llmproviders/{cluster.namespace}/acme",
        f"llmproviders/{cluster.namespace}/globex",
        f"llmroutes/{cluster.namespace}/chat",
    ]
    assert {resource.namespace for resource in manifest.resources} == {cluster.namespace}


def test_an_empty_namespace_is_an_empty_manifest(cluster: Cluster) -> None:
    assert cluster.source().load() == Manifest(secrets={})


def test_changes_are_followed(cluster: Cluster) -> None:
    source = cluster.source()
    assert hosts(source) == []

    for change, expected in (
        (lambda: cluster.apply(provider("a.example")), ["a.example"]),
        (lambda: cluster.apply(provider("b.example")), ["a.example", "b.example"]),
        (
            lambda: cluster.apply({**provider("a.example"), "spec": {"host": "c.example"}}),
            ["c.example", "b.example"],
        ),
        (lambda: cluster.delete("LLMProvider", "b"), ["c.example"]),
    ):
        before = source.fingerprint()
        change()
        eventually(lambda before=before: source.fingerprint() != before)
        assert hosts(source) == expected


def test_what_a_mesh_does_not_look_at_is_no_change(cluster: Cluster) -> None:
    cluster.apply(provider("a.example"))
    source = cluster.source()
    source.load()
    before = source.fingerprint()
    cluster.patch_status("LLMProvider", "a", {"conditions": []})
    labelled = provider("a.example")
    labelled["metadata"]["labels"] = {"team": "x"}
    cluster.apply(labelled)
    cluster.apply(provider("b.example"))
    eventually(lambda: source.fingerprint() != before)

    assert source.fingerprint() == before + 1  # type: ignore[operator]


def test_a_faulty_object_is_told_by_its_name_in_the_cluster(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example", {"defaults": {"messages": []}}))
    cluster.apply(route("acme.example"))
    manifest = cluster.source().load()

    assert [str(problem) for problem in manifest.problems] == [
        f"llmproviders/{cluster.namespace}/acme: "
        "spec.configs.defaultConfig.openAIConfig.defaults.messages: "
        "belongs to the client's request and can have no default"
    ]
    assert names(manifest) == [f"llmroutes/{cluster.namespace}/chat"]
    assert manifest.broken_hosts == {"acme.example"}


def test_placeholders_are_looked_up_in_the_environment_that_is_given(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example", {"model": "${MODEL}"}))
    good, bad = cluster.source(environ={"MODEL": "m"}), cluster.source(environ={})

    assert good.load().problems == ()
    assert "environment variable MODEL is not set" in str(bad.load().problems[0])


def test_a_secret_that_is_referred_to_is_followed(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example", key_from()))
    source = cluster.source()
    assert key(source, cluster) == "does not exist"

    cluster.apply(secret(token=KEY))
    eventually(lambda: key(source, cluster) == KEY.encode())
    before = source.fingerprint()
    cluster.apply(secret(token="rotated"))
    eventually(lambda: source.fingerprint() != before)
    assert key(source, cluster) == b"rotated"

    cluster.delete("Secret", "keys")
    eventually(lambda: key(source, cluster) == "does not exist")


def test_a_secret_is_there_as_soon_as_the_document_that_names_it(cluster: Cluster) -> None:
    cluster.apply(secret(token=KEY))
    cluster.apply(secret("other", token=f"{KEY}2"))
    cluster.apply(provider("acme.example", key_from()))
    source = cluster.source()
    assert key(source, cluster) == KEY.encode()

    before = source.fingerprint()
    cluster.apply(provider("acme.example", key_from("other")))
    eventually(lambda: source.fingerprint() != before)
    assert key(source, cluster, "other") == f"{KEY}2".encode()
    assert key(source, cluster) is None


def test_a_secret_that_no_provider_names_is_not_read(cluster: Cluster) -> None:
    cluster.apply(secret("other", token=KEY))
    cluster.apply(provider("acme.example"))

    assert cluster.source().load().secrets == {}


def test_a_key_of_a_rule_is_read_too(cluster: Cluster) -> None:
    cluster.apply(secret(token=KEY))
    specific = {"vip": {"openAIConfig": key_from()}}
    cluster.apply(provider("acme.example", configs={"routeSpecificConfigs": specific}))

    assert key(cluster.source(), cluster) == KEY.encode()


def test_all_namespaces_may_be_followed(cluster: Cluster) -> None:
    cluster.apply(provider(f"{cluster.namespace}.example", key_from()))
    cluster.apply(secret(token=KEY))
    source = cluster.source("*")

    assert f"llmproviders/{cluster.namespace}/{cluster.namespace}" in names(source.load())
    assert key(source, cluster) == KEY.encode()


def test_another_namespace_may_be_named(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))

    assert hosts(cluster.source("other")) == []
    assert hosts(cluster.source(cluster.namespace)) == ["acme.example"]


def test_after_a_close_it_begins_anew_with_what_it_had(cluster: Cluster) -> None:
    cluster.apply(provider("a.example"))
    source = cluster.source()
    source.load()
    before = source.fingerprint()
    source.close()
    cluster.apply(provider("b.example"))

    assert source.fingerprint() == before
    eventually(lambda: source.fingerprint() != before)
    assert hosts(source) == ["a.example", "b.example"]


def test_policies_are_followed_and_told_what_became_of_them(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    cluster.apply(route("acme.example"))
    cluster.apply(policy(limits=[{"name": "one", "requests": 1}]))
    source = cluster.source()
    assert f"llmpolicies/{cluster.namespace}/team" in names(source.load())
    before = source.fingerprint()
    cluster.apply(
        policy(
            targetRefs=[{"kind": "LLMRoute", "name": "chta"}],
            limits=[{"name": "one", "requests": 1}],
        )
    )
    eventually(lambda: source.fingerprint() != before)
    _, problems = compile_source(source, MeshSettings(namespace=cluster.namespace), {})
    source.report(problems)
    eventually(lambda: cluster.conditions("LLMPolicy", "team"))
    accepted = cluster.conditions("LLMPolicy", "team")
    told = " ".join(condition["message"] for condition in accepted.values())
    assert "did you mean `chat`?" in told


def test_a_cluster_without_policies_needs_no_definition_of_them(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("acme.example"))
    server.versions = {"v1beta1", "v1"}
    source = double.source()
    assert hosts(source) == ["acme.example"]
    server.versions = {"v1beta1", "v1", "v1alpha1"}
    double.apply(policy(limits=[{"name": "one", "requests": 1}]))
    eventually(lambda: f"llmpolicies/{double.namespace}/team" in names(source.load()))


def test_a_secret_that_a_guard_names_is_read(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    cluster.apply(secret("hook", token="t"))
    webhook = {"url": "http://10.0.0.1/check", **key_from("hook")}
    cluster.apply(policy(guards=[{"name": "hook", "webhook": webhook}]))
    assert (cluster.namespace, "hook") in cluster.source().load().secrets
