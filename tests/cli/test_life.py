"""The life of `llm-mesh serve`: reloads by itself and on SIGHUP, and a graceful end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import FakeUpstream, Gate, Stream, chat_stream
from tests.cli.conftest import BARE, COMMAND, wait_until_listening
from tests.processes import free_port
from tests.reload.versions import HOST, manifest, save

pytestmark = pytest.mark.slow

EVENTS = chat_stream(["Good ", "day"])
SPLIT = """\
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata:
  name: split
spec:
  host: split
  rules:
  - backendRefs:
    - providerHost: llm.example
      weight: 75
      model: often
    - providerHost: other.example
      weight: 25
      model: seldom
"""


class Process:
    """A running `llm-mesh serve` for one manifest that a test may change."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, file: Path, log: Path) -> None:
        self.process = process
        self.port = port
        self.file = file
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text()

    def ask(self, host: str = HOST, *, stream: bool = False) -> http.client.HTTPResponse:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"host": host, "connection": "close"}
        client.request("POST", "/", json.dumps({"stream": stream}), headers)
        return client.getresponse()

    def model(self) -> str | None:
        answer = self.ask()
        answer.read()
        return answer.headers["x-llm-mesh-model"]

    def health(self) -> dict[str, object]:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        client.request("GET", "/healthz", headers={"host": "anything"})
        answer = client.getresponse()
        told: dict[str, object] = json.loads(answer.read())
        assert answer.status == 200
        client.close()
        return told

    def calls(self) -> list[tuple[object, object]]:
        """Status and type of the error of each call in the access log, which is JSON; sorted."""
        lines = map(json.loads, self.output.splitlines())
        return sorted((each["status"], each["error_type"]) for each in lines if "status" in each)

    def wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)


Serve = Callable[..., Process]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        yield upstream


@pytest.fixture
def serve(upstream: FakeUpstream, tmp_path: Path) -> Iterator[Serve]:
    """`serve("--workers", "4", text=..., interval=1)`: the command with one manifest."""
    started: list[subprocess.Popen[bytes]] = []

    def serve(*options: str, text: str = manifest(1), interval: float = 0) -> Process:
        file, log, port = tmp_path / "mesh.yaml", tmp_path / "log", free_port()
        file.write_text(text)
        hosts = (HOST, "other.example")
        environ = BARE | {
            "LLM_MESH_RELOAD_INTERVAL": str(interval),
            "LLM_MESH_ENDPOINTS": json.dumps(dict.fromkeys(hosts, upstream.url)),
        }
        command = [*COMMAND, "serve", "--config", str(file), "--port", str(port), *options]
        with open(log, "wb") as output:
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        started.append(process)
        wait_until_listening(process, port, log)
        return Process(process, port, file, log)

    yield serve
    for process in started:
        process.kill()
        process.wait(10)


def test_a_hang_up_reloads_and_cuts_no_stream(serve: Serve, upstream: FakeUpstream) -> None:
    served = serve()
    gate = Gate()
    upstream.script(Stream([*EVENTS[:2], gate, *EVENTS[2:]]))
    stream = served.ask(stream=True)
    assert stream.read(len(EVENTS[0])) == EVENTS[0]
    save(served.file, manifest(2))
    assert served.model() == "m-000001"
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: served.health()["generation"] == 2)
    assert served.model() == "m-000002"
    gate.open()
    assert stream.read() == b"".join(EVENTS[1:])

    save(served.file, manifest(3).replace("  path:", "  paht:"))
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: served.health()["status"] == "stale")
    assert served.model() == "m-000002"
    (problem,) = served.health()["problems"]  # type: ignore[misc]
    assert problem["place"] == f"{served.file}:7:3"
    assert problem["text"].startswith("spec.paht: unknown field")
    assert served.output.count("the last good one stays") == 1
    assert "Traceback" not in served.output


def test_a_stream_that_outlasts_the_grace_period_ends_with_an_error_event(
    serve: Serve, upstream: FakeUpstream
) -> None:
    served = serve("--grace", "0.2", "--log-format", "json")
    upstream.script(Stream([*EVENTS[:2], Gate()]), Stream([Gate()]))
    stream = served.ask(stream=True)
    begun = b"".join(EVENTS[:2])
    assert stream.read(len(begun)) == begun
    waiting = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    waiting.request("POST", "/", "{}", {"host": HOST})
    upstream.wait_for_requests(2)
    served.process.send_signal(signal.SIGTERM)

    rest = stream.read()
    assert rest.startswith(b"data: ")
    error = json.loads(rest.removeprefix(b"data: "))["error"]
    assert (error["code"], error["message"]) == (
        "stream_interrupted",
        "the server is shutting down",
    )
    refused = waiting.getresponse()
    assert refused.status == 503
    assert json.loads(refused.read())["error"]["code"] == "server_shutdown"
    assert refused.headers["retry-after"] == "1"
    waiting.close()
    assert served.process.wait(10) == 0
    assert served.calls() == [(200, "server_shutdown"), (503, "server_shutdown")]
    assert "Traceback" not in served.output
    assert "Cancel" not in served.output
    assert upstream.wait_closed()


def test_a_body_that_outlasts_the_grace_period_is_answered_503(serve: Serve) -> None:
    served = serve("--grace", "0.2", "--log-format", "json")
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        head = f"POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 100\r\n\r\n"
        client.sendall(head.encode() + b'{"messages"')
        served.wait(lambda: served.health()["status"] == "ok")  # it has been looked at by now
        served.process.send_signal(signal.SIGTERM)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.read())["error"]["code"] == "server_shutdown"
        assert client.recv(1) == b""
    assert served.process.wait(10) == 0
    assert "Traceback" not in served.output
    assert (503, "server_shutdown") in served.calls()


def test_a_short_answer_does_not_wait_for_the_grace_period_to_end(
    serve: Serve, upstream: FakeUpstream
) -> None:
    served = serve("--grace", "600")
    upstream.script(Stream([*EVENTS[:2], 0.05, *EVENTS[2:]]))
    stream = served.ask(stream=True)
    served.process.send_signal(signal.SIGINT)
    assert stream.read() == b"".join(EVENTS)
    assert served.process.wait(10) == 0
    assert "Traceback" not in served.output


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="tells workers by /proc")
def test_four_workers_share_a_port_hold_the_weights_and_all_reload(
    serve: Serve, upstream: FakeUpstream
) -> None:
    both = manifest(1) + "---\n" + manifest(1, host="other.example") + SPLIT
    served = serve("--workers", "4", "--grace", "0.2", text=both)
    served.wait(lambda: served.output.count("startup complete") == 4)
    models: Counter[str | None] = Counter()
    for _ in range(240):
        answer = served.ask("split")
        answer.read()
        models[answer.headers["x-llm-mesh-model"]] += 1
    assert models.keys() == {"often", "seldom"}
    assert 30 <= models["seldom"] <= 95

    gate = Gate()
    upstream.script(Stream([*EVENTS[:2], gate, *EVENTS[2:]]))
    stream = served.ask(stream=True)
    save(served.file, both.replace("m-000001", "m-000002"))
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: served.output.count("serving 3 virtual hosts") == 8)
    assert {served.model() for _ in range(20)} == {"m-000002"}
    gate.open()
    assert stream.read() == b"".join(EVENTS)

    upstream.script(Stream([*EVENTS[:2], Gate()]))
    stream = served.ask(stream=True)
    served.process.send_signal(signal.SIGTERM)
    assert b"stream_interrupted" in stream.read()
    assert served.process.wait(10) == 0
    assert served.output.count("startup complete") == 4
    assert "Traceback" not in served.output
