"""What a source relies on, of the double of these tests and of a real API server alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.kubernetes.clusters import GROUP, Cluster, Object, provider, secret

MERGE = {"content-type": "application/merge-patch+json"}
CONDITION = {
    "type": "Accepted",
    "status": "True",
    "reason": "Accepted",
    "message": "",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


def collection(cluster: Cluster, plural: str = "llmproviders", version: str = "v1beta1") -> str:
    return f"/apis/{GROUP}/{version}/namespaces/{cluster.namespace}/{plural}"


def listed(cluster: Cluster, path: str, **query: str) -> Object:
    answer = cluster.client.get(path, params=query)
    answer.raise_for_status()
    return dict(answer.json())


def version_of(cluster: Cluster) -> str:
    return str(listed(cluster, collection(cluster))["metadata"]["resourceVersion"])


def patched(cluster: Cluster, body: object, **headers: str) -> httpx.Response:
    path = f"{collection(cluster)}/acme/status"
    return cluster.client.patch(path, content=json.dumps(body), headers=headers or MERGE)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status and reason, which an error's body says too."""
    body = answer.json()
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", answer.status_code)
    assert body["message"]
    return answer.status_code, body["reason"], body["apiVersion"]


@contextmanager
def watched(cluster: Cluster, path: str, **query: str) -> Iterator[Iterator[Any]]:
    query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "5", **query}
    with cluster.client.stream("GET", path, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        yield map(json.loads, answer.iter_lines())


def changes(events: Iterator[Any], number: int) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    while len(found) < number:
        event = next(events)
        metadata = event["object"]["metadata"]
        if event["type"] != "BOOKMARK":
            found.append((event["type"], metadata.get("name"), int(metadata["resourceVersion"])))
    return found


def test_a_new_object_is_the_first_of_its_generations_and_has_no_status(cluster: Cluster) -> None:
    made = cluster.apply({**provider(), "status": {"conditions": [CONDITION]}})
    metadata = made["metadata"]

    assert (metadata["generation"], metadata["namespace"]) == (1, cluster.namespace)
    assert metadata["resourceVersion"].isdigit()
    assert metadata["uid"]
    assert metadata["creationTimestamp"]
    assert "status" not in made


def test_only_the_spec_makes_a_generation_and_only_a_change_a_version(cluster: Cluster) -> None:
    def state(item: Object) -> tuple[int, str]:
        return item["metadata"]["generation"], item["metadata"]["resourceVersion"]

    first = state(cluster.apply(provider()))
    assert state(cluster.apply(provider())) == first

    labelled = provider()
    labelled["metadata"]["labels"] = {"team": "x"}
    second = state(cluster.apply(labelled))
    assert second[0] == 1
    assert second[1] != first[1]

    third = state(cluster.apply(provider(path="/v2")))
    assert third[0] == 2
    patched(cluster, {"status": {"conditions": [CONDITION]}}).raise_for_status()
    fourth = state(cluster.get("LLMProvider", "acme"))
    assert fourth[0] == 2
    assert fourth[1] != third[1]
    patched(cluster, {"status": {"conditions": [CONDITION]}}).raise_for_status()
    assert state(cluster.get("LLMProvider", "acme")) == fourth


def test_a_status_is_all_that_a_status_patch_changes(cluster: Cluster) -> None:
    cluster.apply(provider())
    body = {"spec": {"host": "other.example"}, "status": {"conditions": [CONDITION]}}
    answer = patched(cluster, body).json()
    assert answer["spec"]["host"] == "acme.example"
    assert answer["status"] == {"conditions": [CONDITION]}

    assert cluster.apply(provider(path="/v2"))["status"] == {"conditions": [CONDITION]}


def test_what_is_written_for_another_version_is_a_conflict(cluster: Cluster) -> None:
    old = cluster.apply(provider())["metadata"]["resourceVersion"]
    cluster.apply(provider(path="/v2"))
    body = {"metadata": {"resourceVersion": old}, "status": {"conditions": [CONDITION]}}

    assert refusal(patched(cluster, body)) == (409, "Conflict", "v1")
    item = provider(path="/v3")
    item["metadata"]["resourceVersion"] = old
    answer = cluster.client.put(f"{collection(cluster)}/acme", json=item)
    assert refusal(answer) == (409, "Conflict", "v1")
    answer = cluster.client.post(collection(cluster), json=provider())
    assert refusal(answer) == (409, "AlreadyExists", "v1")


def test_a_replacement_says_what_it_replaces(cluster: Cluster) -> None:
    cluster.apply(provider())
    answer = cluster.client.put(f"{collection(cluster)}/acme", json=provider(path="/v2"))

    assert refusal(answer) == (422, "Invalid", "v1")


def test_a_patch_says_what_kind_it_is(cluster: Cluster) -> None:
    cluster.apply(provider())
    answer = patched(cluster, {"status": {}}, **{"content-type": "application/json"})

    assert refusal(answer) == (415, "UnsupportedMediaType", "v1")


@pytest.mark.parametrize("body", [{"status": {"conditions": [{"type": "Accepted"}]}}])
def test_a_status_that_does_not_fit_is_refused(cluster: Cluster, body: Object) -> None:
    cluster.apply(provider())

    assert refusal(patched(cluster, body)) == (422, "Invalid", "v1")


def test_a_spec_that_does_not_fit_is_refused_and_what_is_unknown_left_out(cluster: Cluster) -> None:
    answer = cluster.client.post(collection(cluster), json=provider(maxConcurrency=0))
    assert refusal(answer) == (422, "Invalid", "v1")

    assert "hots" not in cluster.apply(provider(hots="acme.example"))["spec"]


def test_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    get = cluster.client.get
    assert refusal(get(f"{collection(cluster)}/acme")) == (404, "NotFound", "v1")
    assert refusal(patched(cluster, {"status": {}})) == (404, "NotFound", "v1")
    unserved = get(f"/apis/{GROUP}/v2/llmproviders")
    assert (unserved.status_code, unserved.text) == (404, "404 page not found\n")


def test_who_is_not_known_is_told(cluster: Cluster) -> None:
    headers = {"authorization": "Bearer somebody"}
    answer = cluster.client.get(collection(cluster), headers=headers)

    assert refusal(answer) == (401, "Unauthorized", "v1")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_object_is_served_in_each_version(cluster: Cluster, version: str) -> None:
    cluster.apply(provider())
    found = listed(cluster, collection(cluster, version=version))

    assert (found["kind"], found["apiVersion"]) == ("LLMProviderList", f"{GROUP}/{version}")
    (item,) = found["items"]
    assert (item["kind"], item["apiVersion"]) == ("LLMProvider", f"{GROUP}/{version}")


def test_pages_are_of_one_version(cluster: Cluster) -> None:
    for name in "abc":
        cluster.apply(provider(f"{name}.example"))
    first = listed(cluster, collection(cluster), limit="2")
    cluster.apply(provider("d.example"))
    token = first["metadata"]["continue"]
    second = listed(cluster, collection(cluster), limit="2", **{"continue": token})

    names = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second)]
    assert names == [["a", "b"], ["c"]]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert not second["metadata"].get("continue")


def test_a_watch_tells_of_every_change_since_its_version(cluster: Cluster) -> None:
    since = version_of(cluster)
    cluster.apply(provider("a.example"))
    with watched(cluster, collection(cluster), resourceVersion=since) as events:
        assert [change[:2] for change in changes(events, 1)] == [("ADDED", "a")]
        cluster.apply(provider("b.example"))
        patch = {"status": {"conditions": [CONDITION]}}
        path = f"{collection(cluster)}/a/status"
        cluster.client.patch(path, content=json.dumps(patch), headers=MERGE).raise_for_status()
        before = int(version_of(cluster))
        cluster.delete("LLMProvider", "b")
        found = changes(events, 3)

    assert [change[:2] for change in found] == [
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
    versions = [change[2] for change in found]
    assert versions == sorted(versions)
    assert versions[-1] > before


def test_one_object_may_be_listed_and_watched_by_its_name(cluster: Cluster) -> None:
    for name in ("keys", "others"):
        cluster.apply(secret(name, token="k"))
    path = f"/api/v1/namespaces/{cluster.namespace}/secrets"
    query = {"fieldSelector": "metadata.name=keys"}
    found = listed(cluster, path, **query)
    assert [item["metadata"]["name"] for item in found["items"]] == ["keys"]

    since = found["metadata"]["resourceVersion"]
    with watched(cluster, path, resourceVersion=since, **query) as events:
        cluster.apply(secret("others", token="l"))
        cluster.apply(secret("keys", token="l"))
        assert [change[:2] for change in changes(events, 1)] == [("MODIFIED", "keys")]


def test_a_watch_from_a_version_that_is_forgotten_is_gone(cluster: Cluster) -> None:
    cluster.apply(provider())
    with watched(cluster, collection(cluster), resourceVersion="1") as events:
        (event,) = events

    assert event["type"] == "ERROR"
    assert event["object"]["kind"] == "Status"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_a_watch_ends_in_good_order_when_its_time_is_over(cluster: Cluster) -> None:
    query = {"resourceVersion": version_of(cluster), "timeoutSeconds": "1"}
    with watched(cluster, collection(cluster), **query) as events:
        assert {event["type"] for event in events} <= {"BOOKMARK"}
