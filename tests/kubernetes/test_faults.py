"""An API server that forgets, breaks off, refuses or is away."""

from __future__ import annotations

import base64
import logging
import threading
import time

import pytest

from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_kubernetes.faults import APIFault, pause_s
from llm_mesh_middleware.sources import Manifest
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import TOKEN, Cluster, eventually, key_from, provider, secret
from tests.kubernetes.test_source import KEY, hosts, key

PROVIDERS, ROUTES = "llmproviders", "llmroutes"
NEW_TOKEN = TOKEN[::-1]


def following(
    double: Cluster, server: APIServer, *hosts_: str, watches: int = 3
) -> KubernetesSource:
    """A source that has the providers and watches for more."""
    for host in hosts_:
        double.apply(provider(host))
    source = double.source()
    assert hosts(source) == list(hosts_)
    eventually(lambda: server.open_watches == watches)
    return source


def only_problem(manifest: Manifest) -> str:
    (problem,) = manifest.problems
    assert manifest.resources == ()
    return str(problem)


@pytest.mark.parametrize("is_event", [True, False])
def test_after_410_what_happened_in_between_is_not_missed(
    double: Cluster, server: APIServer, is_event: bool
) -> None:
    source = following(double, server, "a.example", "b.example")
    server.is_gone_an_event = is_event
    server.go_away()
    double.delete("LLMProvider", "a")
    double.apply(provider("c.example"))
    server.compact()
    server.is_away = False

    eventually(lambda: hosts(source) == ["b.example", "c.example"])
    assert len(server.lists(PROVIDERS)) > 1


def test_a_watch_that_breaks_off_is_resumed_where_it_was(
    double: Cluster, server: APIServer
) -> None:
    source = following(double, server, "a.example")
    server.cut_watches()
    double.apply(provider("b.example"))

    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    assert len(server.lists(PROVIDERS)) == 1


def test_a_bookmark_is_where_a_watch_is_resumed(double: Cluster, server: APIServer) -> None:
    following(double, server, "a.example")
    version = server.bookmark()
    server.end_watches()
    eventually(lambda: len(server.watches(PROVIDERS)) > 1)

    assert server.watches(PROVIDERS)[0].query["allowWatchBookmarks"] == "true"
    assert server.watches(PROVIDERS)[-1].query["resourceVersion"] == version
    assert len(server.lists(PROVIDERS)) == 1


@pytest.mark.parametrize("tail", [b'{"type": "ADDED", "obj', b"[]\n"])
def test_half_a_line_is_no_event(double: Cluster, server: APIServer, tail: bytes) -> None:
    source = following(double, server, "a.example")
    server.cut_watches(tail)
    double.apply(provider("b.example"))

    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    assert len(server.watches(PROVIDERS)) > 1


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": 5}',
        b'{"type": "ADDED", "object": {"metadata": null}}',
        b'{"type": "NEWS", "object": {"metadata": {}}}',
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}',
        b'{"type": "ERROR", "object": {"code": null}}',
    ],
)
def test_a_line_that_is_no_event_is_survived(
    double: Cluster, server: APIServer, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    source = following(double, server, "a.example")
    server.say(line + b"\n")
    double.apply(provider("b.example"))

    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    assert "no longer followed" not in caplog.text


def test_a_long_collection_comes_in_pages(double: Cluster, server: APIServer) -> None:
    server.page = 2
    expected = [f"{name}.example" for name in "abcde"]

    following(double, server, *expected)
    assert len(server.lists(PROVIDERS)) == 3


def test_pages_that_expire_are_asked_for_anew(double: Cluster, server: APIServer) -> None:
    server.page = 1
    server.refuse(PROVIDERS, 410, times=1, after=1)

    following(double, server, "a.example", "b.example")
    assert len(server.lists(PROVIDERS)) == 4


def test_while_the_api_server_is_away_the_last_state_stays(
    double: Cluster, server: APIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_mesh_middleware")
    source = following(double, server, "a.example")
    before = source.fingerprint()
    tried = len(server.seen)
    server.go_away()
    eventually(lambda: len(server.seen) > tried + 10)
    assert (hosts(source), source.fingerprint()) == (["a.example"], before)

    double.apply(provider("b.example"))
    assert source.fingerprint() == before
    server.is_away = False
    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    eventually(lambda: f"{PROVIDERS} of namespace team: the API server is back" in caplog.text)
    said = [record.getMessage() for record in caplog.records if PROVIDERS in record.getMessage()]
    assert ["stays in use" in line for line in said] == [True, False]
    assert said[-1] == "llmproviders of namespace team: the API server is back"


def test_the_first_load_waits_for_a_slow_start(double: Cluster, server: APIServer) -> None:
    double.apply(provider("a.example"))
    server.is_away = True
    source = double.source()
    loaded: list[Manifest] = []
    thread = threading.Thread(target=lambda: loaded.append(source.load()))
    thread.start()
    eventually(lambda: len(server.seen) > 4)
    server.is_silent = True
    server.is_away = False
    eventually(lambda: any(not seen.is_watch for seen in server.seen[5:]))
    assert loaded == []

    server.is_silent = False
    thread.join(5)
    assert [len(manifest.resources) for manifest in loaded] == [1]


@pytest.mark.parametrize(
    ("flag", "message"),
    [("is_silent", "has not responded yet"), ("is_away", "no response from the API server: ")],
)
def test_a_first_load_that_waits_in_vain_is_a_problem(
    double: Cluster, server: APIServer, flag: str, message: str
) -> None:
    setattr(server, flag, True)
    source = double.source(timeout_s=0.02)

    assert only_problem(source.load()).startswith("kubernetes: ")
    eventually(lambda: message in only_problem(source.load()))
    setattr(server, flag, False)
    eventually(lambda: source.load() == Manifest(secrets={}))


@pytest.mark.parametrize(
    ("status", "advice"),
    [(403, "give the service account a Role"), (404, "are the custom resource definitions")],
)
def test_a_refusal_is_told_at_once(
    double: Cluster, server: APIServer, status: int, advice: str
) -> None:
    double.apply(provider("a.example"))
    server.refuse(ROUTES, status)
    began = time.monotonic()
    source = double.source(double.namespace, timeout_s=30.0)
    problem = only_problem(source.load())

    assert problem.startswith(f"kubernetes:team: the API server answered {status}: refused")
    assert advice in problem
    assert time.monotonic() - began < 5
    server.refusals.clear()
    eventually(lambda: hosts(source) == ["a.example"])


def test_a_cluster_may_serve_one_of_the_versions_only(double: Cluster, server: APIServer) -> None:
    double.apply(provider("a.example"))
    server.versions, double.version = {"v1", "v1alpha1"}, "v1"
    source = following(double, server, "a.example")
    server.end_watches()
    double.apply(provider("b.example"))

    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    assert "/v1/" in server.watches(PROVIDERS)[-1].path


def test_without_a_kubeconfig_or_a_pod_the_first_load_says_so(
    double: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    missing = double.kubeconfig.with_name("missing")
    monkeypatch.setenv("KUBECONFIG", str(missing))

    for kubeconfig in (None, missing):
        problem = only_problem(double.source(kubeconfig=kubeconfig).load())
        assert f"there is no kubeconfig {missing}, and this is no pod" in problem


def test_a_context_that_is_not_there_is_told(double: Cluster) -> None:
    problem = only_problem(double.source(context="prod").load())

    assert "there is no access to a cluster" in problem
    assert "prod" in problem


def test_after_401_the_credentials_are_read_again(double: Cluster, server: APIServer) -> None:
    source = following(double, server, "a.example")
    double.kubeconfig.write_text(double.kubeconfig.read_text().replace(TOKEN, NEW_TOKEN))
    server.token = NEW_TOKEN
    double.client.headers["authorization"] = f"Bearer {NEW_TOKEN}"
    server.end_watches()
    double.apply(provider("b.example"))

    eventually(lambda: hosts(source) == ["a.example", "b.example"])
    eventually(lambda: server.open_watches == 3)
    assert len(server.watches(PROVIDERS)) > 1


def test_a_secret_that_may_not_be_read_keeps_nothing_else_from_loading(
    double: Cluster, server: APIServer
) -> None:
    double.apply(secret(token=KEY))
    double.apply(provider("a.example", key_from()))
    server.refuse("secrets", 403)
    source = double.source()
    assert hosts(source) == ["a.example"]
    assert str(key(source, double)).startswith("cannot be read: the API server answered 403")

    server.refusals.clear()
    eventually(lambda: key(source, double) == KEY.encode())


def test_a_document_waits_for_its_secret(double: Cluster, server: APIServer) -> None:
    source = following(double, server, "a.example")
    before = source.fingerprint()
    double.apply(secret(token=KEY))
    server.refuse("secrets", 500)
    double.apply(provider("a.example", key_from()))
    eventually(lambda: len(server.lists("secrets")) > 2)
    assert source.fingerprint() == before

    server.refusals.clear()
    eventually(lambda: source.fingerprint() != before)
    assert key(source, double) == KEY.encode()


def test_a_secret_is_asked_for_by_its_name(double: Cluster, server: APIServer) -> None:
    double.apply(provider("b.example", key_from()))
    double.source().load()
    (asked,) = server.lists("secrets")

    assert asked.query["fieldSelector"] == "metadata.name=keys"


def test_neither_keys_nor_the_token_are_logged(
    double: Cluster, server: APIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    double.apply(secret(token=KEY))
    double.apply(provider("a.example", key_from()))
    source = double.source()
    assert key(source, double) == KEY.encode()
    server.refuse("secrets", 500, times=3)
    server.end_watches()
    double.apply(secret(token=KEY + "2"))
    eventually(lambda: key(source, double) == f"{KEY}2".encode())
    server.cut_watches(b"x")

    for hidden in (KEY, base64.b64encode(KEY.encode()).decode()[:-4], TOKEN):
        assert hidden not in caplog.text
        assert hidden not in repr((source, source.load(), source._loaded, source._run))


def test_pauses_double_up_to_the_longest() -> None:
    fault = APIFault("x")
    pauses = [pause_s(failures, backoff_s=(1.0, 30.0), fault=fault) for failures in range(50)]

    for failures, pause in enumerate(pauses):
        longest = min(30.0, 2.0**failures)
        assert longest / 2 <= pause <= longest


def test_a_pause_is_as_long_as_the_api_server_asks_for() -> None:
    asked = [APIFault("x", status=429, retry_after_s=s) for s in (0.0, 7.0, 3600.0)]
    pauses = [pause_s(0, backoff_s=(1.0, 30.0), fault=fault) for fault in asked]

    assert pauses[0] <= 1.0
    assert pauses[1:] == [7.0, 60.0]
