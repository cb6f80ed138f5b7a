"""`status.conditions`: what the objects are told about themselves."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_middleware import MeshSettings
from llm_mesh_middleware._mesh.live_config import compile_source
from llm_mesh_middleware.exceptions import Problem
from tests.conftest import MANIFESTS
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import Cluster, eventually, key_from, provider, route, secret
from tests.kubernetes.test_source import hosts

FIELD = "spec.configs.defaultConfig.openAIConfig"


def reported(source: KubernetesSource) -> tuple[Problem, ...]:
    """What a mesh does: load, compile, report."""
    _, problems = compile_source(source, MeshSettings(), {})
    source.report(problems)
    return problems


def told(cluster: Cluster, kind: str, name: str) -> list[tuple[object, ...]]:
    return [
        (name, found["status"], found["reason"], found["message"])
        for name, found in sorted(cluster.conditions(kind, name).items())
    ]


ACCEPTED = ("Accepted", "True", "Accepted", "")
RESOLVED = ("ResolvedRefs", "True", "ResolvedRefs", "")


def test_good_objects_are_accepted_and_resolved(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    cluster.apply(route("acme.example"))
    assert reported(cluster.source()) == ()

    eventually(lambda: told(cluster, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    eventually(lambda: told(cluster, "LLMRoute", "chat") == [ACCEPTED, RESOLVED])


def test_the_manifests_are_accepted(cluster: Cluster) -> None:
    applied: set[tuple[str, str]] = set()
    for file in sorted(MANIFESTS.glob("*.yaml")):
        for item in yaml.safe_load_all(file.read_text("utf-8")):
            item["metadata"].pop("namespace", None)
            cluster.apply(item)
            applied.add((item["kind"], item["metadata"]["name"]))
    assert reported(cluster.source()) == ()

    assert len(applied) == 5
    for kind, name in applied - {("Service", "demo-llm-server")}:
        eventually(lambda kind=kind, name=name: told(cluster, kind, name) == [ACCEPTED, RESOLVED])


def test_a_condition_says_when_it_turned_and_for_which_version(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    made = cluster.apply({**provider("acme.example"), "spec": {"host": "acme.example"}})
    reported(cluster.source())
    eventually(lambda: cluster.conditions("LLMProvider", "acme"))
    accepted = cluster.conditions("LLMProvider", "acme")["Accepted"]

    assert accepted["observedGeneration"] == made["metadata"]["generation"] == 2
    turned_at = datetime.strptime(accepted["lastTransitionTime"], "%Y-%m-%dT%H:%M:%S%z")
    assert abs(datetime.now(UTC) - turned_at) < timedelta(minutes=1)


def test_an_object_that_is_wrong_in_itself_is_not_accepted(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example", {"defaults": {"input": 1}}, path="v1"))
    problems = reported(cluster.source())
    message = (
        "spec.path: must begin with one /, got 'v1'\n"
        f"{FIELD}.defaults.input: belongs to the client's request and can have no default"
    )

    assert sorted(problem.text for problem in problems) == sorted(message.split("\n"))
    eventually(
        lambda: (
            [
                (name, state, reason, sorted(text.split("\n")))
                for name, state, reason, text in told(cluster, "LLMProvider", "acme")
            ]
            == [
                ("Accepted", "False", "Invalid", sorted(message.split("\n"))),
                ("ResolvedRefs", "Unknown", "NotAccepted", [""]),
            ]
        )
    )


def test_a_provider_that_is_missing_is_a_reference_not_resolved(cluster: Cluster) -> None:
    cluster.apply(route("acme.example"))
    reported(cluster.source())
    message = (
        "spec.rules[0].backendRefs[0].providerHost: no LLMProvider has the host 'acme.example'; "
        "known hosts: none"
    )
    expected = [ACCEPTED, ("ResolvedRefs", "False", "RefNotResolved", message)]

    eventually(lambda: told(cluster, "LLMRoute", "chat") == expected)


def test_a_secret_that_is_missing_is_a_reference_not_resolved(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example", key_from()))
    source = cluster.source()
    reported(source)
    message = (
        f"{FIELD}.apiKeyFrom.secretKeyRef.name: Secret {cluster.namespace}/keys does not exist"
    )
    unresolved = ("ResolvedRefs", "False", "RefNotResolved", message)
    eventually(lambda: told(cluster, "LLMProvider", "acme") == [ACCEPTED, unresolved])

    before = source.fingerprint()
    cluster.apply(secret(token="k"))
    eventually(lambda: source.fingerprint() != before)
    reported(source)
    eventually(lambda: told(cluster, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])


def test_two_providers_with_one_host_are_not_both_accepted(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    second = provider("acme.example")
    second["metadata"]["name"] = "second"
    cluster.apply(second)
    reported(cluster.source())

    eventually(lambda: cluster.conditions("LLMProvider", "second"))
    accepted = cluster.conditions("LLMProvider", "second")["Accepted"]
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert "is also that of LLMProvider 'acme'" in accepted["message"]


def test_warnings_stand_in_the_message_of_what_is_accepted(cluster: Cluster) -> None:
    specific = {"nobody": {"openAIConfig": {"model": "m"}}}
    cluster.apply(provider("acme.example", configs={"routeSpecificConfigs": specific}))
    reported(cluster.source())

    eventually(lambda: cluster.conditions("LLMProvider", "acme"))
    accepted = cluster.conditions("LLMProvider", "acme")["Accepted"]
    assert accepted["status"] == "True"
    assert accepted["message"].startswith("warning: spec.configs.routeSpecificConfigs.nobody: ")


def test_conditions_of_others_are_left_alone(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    foreign = {
        "type": "Programmed",
        "status": "True",
        "reason": "Gateway",
        "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    cluster.patch_status("LLMProvider", "acme", {"conditions": [foreign]})
    reported(cluster.source())

    eventually(lambda: len(cluster.conditions("LLMProvider", "acme")) == 3)
    assert cluster.conditions("LLMProvider", "acme")["Programmed"] == foreign


OLD = "2026-01-02T03:04:05Z"


def old_conditions(cluster: Cluster, *, generation: int, state: str = "True") -> None:
    reason = {"True": "Accepted", "False": "Invalid"}[state]
    accepted = {"type": "Accepted", "status": state, "reason": reason, "message": ""}
    resolved = {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": ""}
    both = [
        {**each, "observedGeneration": generation, "lastTransitionTime": OLD}
        for each in (accepted, resolved)
    ]
    cluster.patch_status("LLMProvider", "acme", {"conditions": both})


def test_the_time_of_the_last_turn_stays_while_nothing_turns(cluster: Cluster) -> None:
    cluster.apply(provider("acme.example"))
    old_conditions(cluster, generation=1, state="False")
    cluster.apply({**provider("acme.example"), "spec": {"host": "acme.example"}})
    reported(cluster.source())
    eventually(lambda: told(cluster, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    found = cluster.conditions("LLMProvider", "acme")

    assert found["ResolvedRefs"]["observedGeneration"] == 2
    assert found["ResolvedRefs"]["lastTransitionTime"] == OLD
    assert found["Accepted"]["lastTransitionTime"] != OLD


def test_what_is_already_said_is_not_written_again(double: Cluster, server: APIServer) -> None:
    double.apply(provider("acme.example"))
    old_conditions(double, generation=1)
    double.apply(route("acme.example"))
    source = double.source()
    reported(source)
    eventually(lambda: double.conditions("LLMRoute", "chat"))
    reported(source)
    double.apply(provider("b.example"))
    eventually(lambda: len(source.load().resources) == 3)
    reported(source)
    eventually(lambda: double.conditions("LLMProvider", "b"))

    written = [(seen.method, seen.path.rsplit("/", 2)[1]) for seen in server.writes()]
    assert written == [("PATCH", "chat"), ("PATCH", "b")]


def test_a_status_is_no_reason_to_load_again(double: Cluster, server: APIServer) -> None:
    double.apply(provider("acme.example"))
    source = double.source()
    reported(source)
    before = source.fingerprint()
    eventually(lambda: double.conditions("LLMProvider", "acme"))
    version = server.bookmark()
    server.end_watches()
    eventually(lambda: server.watches("llmproviders")[-1].query["resourceVersion"] == version)

    assert source.fingerprint() == before


def test_an_object_that_was_changed_meanwhile_is_read_again(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("acme.example"))
    server.refuse("llmproviders/status", 409, times=1)
    reported(double.source())

    eventually(lambda: told(double, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    assert server.lists("llmproviders/acme") != []


@pytest.mark.parametrize("status", [500, 503, 429, 401])
def test_a_status_that_cannot_be_written_now_is_written_later(
    double: Cluster, server: APIServer, status: int
) -> None:
    double.apply(provider("acme.example"))
    server.refuse("llmproviders/status", status, times=3)
    reported(double.source())

    eventually(lambda: told(double, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    assert server.refusals["llmproviders/status"] == []


def test_an_answer_that_is_overtaken_by_a_change_does_not_undo_it(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("a.example"))
    double.apply(provider("b.example"))
    source = double.source()
    server.hold("llmproviders/status")
    reported(source)
    eventually(lambda: double.conditions("LLMProvider", "a"))
    before = source.fingerprint()
    double.apply({**provider("a.example"), "spec": {"host": "z.example"}})
    eventually(lambda: source.fingerprint() != before)

    server.held.clear()
    eventually(lambda: double.conditions("LLMProvider", "b"))  # so the answer for a has been seen
    double.apply(provider("c.example"))
    eventually(lambda: len(source.load().resources) == 3)
    assert hosts(source) == ["z.example", "b.example", "c.example"]


def test_where_no_status_may_be_written_it_is_not_tried_again_for_long(
    double: Cluster, server: APIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh_middleware")
    double.apply(provider("a.example"))
    double.apply(provider("b.example"))
    server.refuse("llmproviders/status", 403)
    source = double.source(backoff_s=(0.005, 30.0))
    reported(source)
    eventually(lambda: "no status is written" in caplog.text)
    reported(source)
    double.apply(provider("c.example"))
    eventually(lambda: len(source.load().resources) == 3)

    assert len(server.writes()) == 1


def test_a_right_that_is_given_later_is_used(
    double: Cluster, server: APIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh_middleware")
    double.apply(provider("acme.example"))
    server.refuse("llmproviders/status", 403, times=3)
    reported(double.source(backoff_s=(0.001, 0.001)))

    eventually(lambda: told(double, "LLMProvider", "acme") == [ACCEPTED, RESOLVED])
    assert caplog.text.count("no status is written") == 1


def test_a_deleted_object_keeps_no_other_from_being_told(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("a.example"))
    double.apply(provider("b.example"))
    source = double.source()
    source.load()
    server.refuse("llmproviders/status", 404, times=1)
    reported(source)

    eventually(lambda: told(double, "LLMProvider", "b") == [ACCEPTED, RESOLVED])
    assert server.refusals["llmproviders/status"] == []


def test_no_status_is_written_by_a_source_that_shall_not(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("a.example"))
    quiet = double.source(write_status=False)
    reported(quiet)
    quiet.close()
    reported(double.source("*"))
    eventually(lambda: double.conditions("LLMProvider", "a"))

    assert len(server.writes()) == 1
