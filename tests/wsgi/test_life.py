"""The end of a WSGI server: what it has begun is finished, or plainly is not whole."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import FakeUpstream, Gate, Stream, chat_stream
from tests.adapters.wire import STREAMED_CHAT, Client, Connect, request_bytes
from tests.canaries import watched
from tests.reload.versions import HOST, manifest
from tests.wsgi.servers import GUNICORN, environment, gunicorn

pytestmark = pytest.mark.slow

SPLIT = f"""{manifest(1)}---
{manifest(1, host="other.example")}---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {{name: split}}
spec:
  host: split
  rules:
  - backendRefs:
    - {{providerHost: {HOST}, weight: 75, model: often}}
    - {{providerHost: other.example, weight: 25, model: seldom}}
"""
EVENTS = chat_stream(["Good ", "morning"], include_usage=False)


class Ending:
    """A gunicorn that is told to end while others still read from it."""

    def __init__(self, options: tuple[str, ...], config: Path, url: str) -> None:
        self._log = config.with_suffix(".log")
        self._stack = ExitStack()
        environ = environment(
            config=json.dumps([str(config)]),
            endpoints=json.dumps(dict.fromkeys((HOST, "other.example"), url)),
        )
        self.port = self._stack.enter_context(gunicorn(options, environ, self._log))
        own = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)  # it takes a while
        own.request("GET", "/")
        assert own.getresponse().status == 200
        own.close()

    def end(self) -> None:
        """Send SIGTERM; `finish` says whether it went well."""
        self._ending = threading.Thread(target=self._end)
        self._error: BaseException | None = None
        self._ending.start()
        deadline = time.monotonic() + 10
        while "Handling signal: term" not in self._log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def finish(self) -> None:
        self._ending.join()
        if self._error is not None:
            raise self._error
        assert "Traceback" not in watched("the server's log", self._log.read_text())

    def _end(self) -> None:
        try:
            self._stack.close()  # which asserts that it exits with 0
        except BaseException as error:
            self._error = error


Start = Callable[..., Ending]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        yield upstream


@pytest.fixture(params=GUNICORN)
def start(request: pytest.FixtureRequest, tmp_path: Path, upstream: FakeUpstream) -> Start:
    def start(*more: str) -> Ending:
        config = tmp_path / "mesh.yaml"
        config.write_text(SPLIT)
        return Ending((*GUNICORN[request.param], *more), config, upstream.url)

    return start


def test_sigterm_lets_an_open_stream_finish(
    start: Start, upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    server = start()
    client = connect(server.port)
    client.send(request_bytes(HOST, STREAMED_CHAT))
    body = iter(client.read_body(client.read_head()))
    assert next(body) == EVENTS[0]
    server.end()
    gate.open()
    assert b"".join(body) == b"".join(EVENTS[1:])
    server.finish()


def test_a_stream_that_outlasts_the_servers_patience_is_not_taken_for_a_whole_one(
    start: Start, upstream: FakeUpstream, connect: Connect
) -> None:
    gate = Gate()
    upstream.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    server = start("--graceful-timeout", "1")
    client = connect(server.port)
    client.send(request_bytes(HOST, STREAMED_CHAT))
    body = iter(client.read_body(client.read_head()))
    assert next(body) == EVENTS[0]
    server.end()
    with pytest.raises((OSError, AssertionError)):  # cut, or reset
        b"".join(body)
    server.finish()
    gate.open()


def test_four_workers_hold_the_weights_over_all_of_them(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text(SPLIT)
    server = Ending(("--workers", "4", "--preload"), config, upstream.url)
    models: Counter[str | None] = Counter()
    workers = set()
    for _ in range(160):
        with Client(server.port) as client:
            answer = client.ask(request_bytes("split"))
        with Client(server.port) as client:  # gunicorn waits for each to be closed
            workers.add(client.ask(request_bytes("app.example")).body)
        models[answer.header("x-llm-mesh-model")] += 1
    server.end()
    server.finish()
    assert len(workers) > 1
    assert models.keys() == {"often", "seldom"}
    assert 18 <= models["seldom"] <= 64
