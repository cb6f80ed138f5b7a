"""The synchronous path of one mesh under many threads, and across forks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest, Stream, chat_stream
from tests.engine.calls import HOST
from tests.engine.meshes import provider

THREADS, CALLS = 32, 20


def ask(mesh: Mesh, word: str) -> bytes:
    """The answer to a streamed question that is answered with its own word."""
    host = mesh.find(HOST.encode())
    assert host is not None
    body = json.dumps({"messages": [{"role": "user", "content": word}], "stream": True}).encode()
    delivery = mesh.send(host, ClientRequest("POST", "/", Headers(), body))
    try:
        return b"".join(delivery)
    finally:
        delivery.close()


def echo(request: RecordedRequest) -> Stream:
    return Stream(chat_stream([request.json()["messages"][0]["content"]], include_usage=False))


def test_threads_share_a_mesh_its_connections_and_nothing_else() -> None:
    with FakeUpstream(tls=False) as upstream:
        upstream.always(echo)
        mesh = Mesh([provider(endpoint=upstream.url)])

        def work(thread: int) -> list[bool]:
            words = [f"word-{thread}-{call}-" for call in range(CALLS)]
            answers = [ask(mesh, word) for word in words]
            return [
                word.encode() in answer and answer.count(b"word-") == 1
                for word, answer in zip(words, answers, strict=True)
            ]

        with ThreadPoolExecutor(THREADS) as pool:
            right = [each for results in pool.map(work, range(THREADS)) for each in results]
        assert right == [True] * (THREADS * CALLS)
        assert len(upstream.requests) == THREADS * CALLS
        assert upstream.accepted_connections <= THREADS
        assert [status.in_flight for status in mesh.health().values()] == [0]
        mesh.close()
        assert upstream.wait_closed()


FORKING = """
import json, logging, os, sys, threading
from llm_mesh_middleware import Mesh
from llm_mesh_middleware.exceptions import MeshError
from tests.engine.meshes import provider
from tests.engine.test_threads import ask

logging.getLogger("llm_mesh_middleware").addHandler(logging.NullHandler())
detection = {"consecutiveFailures": 1, "baseEjectionTime": "60s"}
mesh = Mesh([provider(endpoint=sys.argv[1], outlierDetection=detection)])

def is_answered(word):
    try:
        return word.encode() in ask(mesh, word)
    except MeshError:
        return False

def fork():
    child = os.fork()
    if child == 0:
        knows_nothing = not mesh.health()
        os._exit(0 if is_answered("child") and knows_nothing else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def states():
    return [status.state for status in mesh.health().values()]

told = {"warm": is_answered("warm"), "idle": fork() and fork(), "parent": is_answered("parent")}
stop = threading.Event()

def work():
    while not stop.is_set():
        is_answered("busy")

threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
told["busy"] = all([fork() for _ in range(10)])
stop.set()
for thread in threads:
    thread.join()
is_answered("fail")
is_answered("fail again")
told["states"] = states()
told["ejected"] = fork()
told["states after"] = states()
mesh.close()
print(json.dumps(told))
"""


@dataclass
class Forked:
    """What a forking process has told of itself, and what its provider saw: word, connection."""

    told: dict[str, object]
    seen: list[tuple[str, int]]


def answer(request: RecordedRequest) -> Stream | Answer:
    word = request.json()["messages"][0]["content"]
    return Answer(500, body={}) if word.startswith("fail") else echo(request)


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    with FakeUpstream(tls=False) as upstream:
        upstream.always(answer)
        command = [sys.executable, "-W", "error", "-c", FORKING, upstream.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        seen = [
            (request.json()["messages"][0]["content"], request.connection)
            for request in upstream.requests
        ]
        yield Forked(json.loads(done.stdout), seen)


@pytest.mark.slow
def test_a_child_calls_on_connections_of_its_own_and_the_parent_keeps_its(forked: Forked) -> None:
    assert (forked.told["warm"], forked.told["idle"], forked.told["parent"]) == (True, True, True)
    assert forked.seen[:4] == [("warm", 1), ("child", 2), ("child", 3), ("parent", 1)]


@pytest.mark.slow
def test_a_fork_among_busy_threads_leaves_no_lock_held(forked: Forked) -> None:
    assert forked.told["busy"] is True


def test_a_child_begins_with_no_judgement_of_a_provider(forked: Forked) -> None:
    assert forked.told["states"] == forked.told["states after"] == ["ejected"]
    assert forked.told["ejected"] is True
