"""The thread behind the sources: one for a process, none that is not needed."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llm_mesh_kubernetes import KubernetesSource
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import Cluster, eventually, provider

FORKS = Path(__file__).with_name("forks.py")


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "llm-mesh-kubernetes"]


def test_making_a_source_asks_nothing(double: Cluster, server: APIServer) -> None:
    double.source()

    assert threads() == []
    assert server.seen == []


def test_a_fingerprint_starts_what_it_looks_at(double: Cluster, server: APIServer) -> None:
    source = double.source()

    assert source.fingerprint() == 0
    eventually(lambda: source.fingerprint() == 1)


def test_all_sources_share_one_thread(double: Cluster, server: APIServer) -> None:
    sources = [double.source(), double.source(), double.source("other")]
    for source in sources:
        source.load()
    assert len(threads()) == 1

    for source in sources:
        assert len(threads()) == 1
        source.close()
    assert threads() == []
    eventually(lambda: server.open_watches == 0)


def test_closing_twice_is_closing(double: Cluster) -> None:
    source = double.source()
    source.close()
    source.load()
    source.close()
    source.close()

    assert threads() == []


def test_a_source_that_is_forgotten_is_followed_no_longer(
    double: Cluster, server: APIServer
) -> None:
    kept = double.source()
    kept.load()
    KubernetesSource(kubeconfig=double.kubeconfig).load()
    gc.collect()

    eventually(lambda: server.open_watches == 3)
    assert len(threads()) == 1


def test_many_threads_start_one_watch(double: Cluster, server: APIServer) -> None:
    source = double.source()
    loads = [threading.Thread(target=source.load) for _ in range(8)]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join()

    assert len(server.lists("llmproviders")) == 1


@pytest.mark.slow
def test_a_child_of_a_fork_follows_by_itself(double: Cluster) -> None:
    double.apply(provider("a.example"))
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", FORKS, double.kubeconfig],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "child 1 ['a.example']\n"
        double.apply(provider("b.example"))
        program.stdin.write("\n")
        rest, errors = program.communicate(timeout=20)

    assert rest.splitlines() == [
        "child 2 ['a.example', 'b.example']",
        "parent ['a.example', 'b.example'] "
        "['MainThread', 'llm-mesh-kubernetes', 'llm-mesh-kubernetes-files_0']",
    ]
    assert (program.returncode, errors) == (0, "")
