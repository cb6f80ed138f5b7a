"""`Mesh` by itself: where configuration comes from, and its life across loops, threads, forks."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_mesh_middleware import ConfigError, Mesh, MeshSettings
from llm_mesh_middleware.sources import FileSource
from llm_mesh_middleware.testing import FakeUpstream, chat_completion, chat_stream
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MANIFESTS, Providers
from tests.engine.calls import HOST, KEY
from tests.engine.meshes import chat, provider, settings_for
from tests.rows import rows

FIRST = MANIFESTS / "01-LLMProvider.yaml"
ROUTE = MANIFESTS / "02-LLMRoute-scenario1.yaml"

BROKEN = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: one
spec:
  host: https://one.example
  paht: /v1/chat/completions
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata:
  name: two
spec:
  host: two.example
  rules:
  - backendRefs:
    - providerHost: nobody.example
      weight: -1
"""


class Repeated:
    """A source of one's own."""

    def load(self) -> object:
        return FileSource([str(FIRST)], environ=os.environ).load()

    def fingerprint(self) -> object:
        return None


@rows(
    "config",
    [str(FIRST), FIRST, [str(FIRST)], [FIRST, ROUTE], (ROUTE, str(FIRST)), MANIFESTS, Repeated()],
    ids=["str", "Path", "list of str", "list of Path", "tuple of both", "directory", "source"],
)
def test_configuration_may_be_given_in_any_of_these_forms(config: object) -> None:
    mesh = Mesh(config)  # type: ignore[arg-type]
    assert mesh.find(DASHSCOPE.encode()) is not None


def test_configuration_may_be_models_made_in_python() -> None:
    mesh = Mesh([provider()])
    assert mesh.find(HOST.encode()) is not None


def test_without_an_argument_the_settings_say_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Mesh(settings=MeshSettings(config=(str(FIRST),))).find(DASHSCOPE.encode()) is not None
    monkeypatch.setenv("LLM_MESH_CONFIG", str(FIRST))
    assert Mesh().find(DASHSCOPE.encode()) is not None


def test_an_argument_goes_before_the_settings() -> None:
    mesh = Mesh([provider()], settings=MeshSettings(config=("/nowhere/mesh.yaml",)))
    assert [host.name for host in mesh.hosts] == [HOST]


def test_a_bad_configuration_is_told_whole(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(BROKEN)
    second.write_text("kind: [\n")
    with pytest.raises(ConfigError) as caught:
        Mesh([first, second, tmp_path / "missing.yaml"])
    found = {(Path(problem.source).name, problem.line) for problem in caught.value.problems}
    assert {("first.yaml", 6), ("first.yaml", 7), ("first.yaml", 18)} <= found
    assert "second.yaml" in {name for name, _ in found}
    assert "missing.yaml" in {name for name, _ in found}
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]


def test_wrong_settings_are_a_config_error_with_the_variable_s_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_MESH_ACCESS", "everyone")
    monkeypatch.setenv("LLM_MESH_IDLE_TIMEOUT", "-3")
    with pytest.raises(ConfigError, match="LLM_MESH_ACCESS") as caught:
        Mesh(FIRST)
    assert "LLM_MESH_IDLE_TIMEOUT" in str(caught.value)


async def test_warnings_are_logged_once(
    tls_upstream: FakeUpstream,
    ca_file: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text(
        f"""\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: example
spec:
  host: {HOST}
  path: /v1/chat/completions
  configs:
    defaultConfig:
      openAIConfig:
        model: m
        apiKey: {KEY}
    routeSpecificConfigs:
      no-such-rule:
        openAIConfig:
          model: other
"""
    )
    with caplog.at_level(logging.INFO, logger="llm_mesh_middleware"):
        mesh = Mesh(config, settings=settings_for(tls_upstream, ca_file))
        for _ in range(3):
            assert (await chat(mesh))[0] == 200
        await mesh.aclose()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "no-such-rule" in warnings[0]
    assert str(config) in warnings[0]
    assert KEY not in caplog.text


async def test_a_seeded_generator_repeats_the_split(providers: Providers) -> None:
    splits = []
    for seed in (7, 7, 8):
        mesh = Mesh(settings=providers.settings(), rng=random.Random(seed).random)
        split = []
        for _ in range(20):
            before = len(providers.dashscope.requests)
            await chat(mesh, DEMO)
            split.append(len(providers.dashscope.requests) > before)
        splits.append(split)
        await mesh.aclose()
    assert splits[0] == splits[1] != splits[2]
    assert 0 < sum(splits[0]) < 20


async def test_a_mock_transport_carries_every_call_without_a_socket() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if json.loads(request.content).get("stream"):
            content = b"".join(chat_stream(["Hel", "lo"]))
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=content
            )
        return httpx.Response(200, json=chat_completion("mocked"))

    mesh = Mesh([provider()], transport=httpx.MockTransport(answer))
    status, body = await chat(mesh)
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "mocked"
    assert (await chat(mesh, stream=True)) == (200, b"".join(chat_stream(["Hel", "lo"])))
    await mesh.aclose()
    assert (await chat(mesh))[0] == 200
    assert seen[0].url == f"https://{HOST}:443/v1/chat/completions"
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(seen[0].content)["model"] == "m"


async def test_closing_a_mesh_closes_its_connections_and_it_works_again(
    engine: str, tls_upstream: FakeUpstream, ca_file: str
) -> None:
    mesh = Mesh([provider()], settings=settings_for(tls_upstream, ca_file, upstream_client=engine))
    await mesh.aclose()  # nothing was opened yet
    for number in (1, 2):
        await chat(mesh)
        await chat(mesh)
        assert tls_upstream.open_connections == 1
        await mesh.aclose()
        assert await asyncio.to_thread(tls_upstream.wait_closed, 1)
        assert tls_upstream.accepted_connections == number


def test_close_takes_the_connections_of_a_loop_that_no_longer_runs(
    engine: str, tls_upstream: FakeUpstream, ca_file: str
) -> None:
    mesh = Mesh([provider()], settings=settings_for(tls_upstream, ca_file, upstream_client=engine))
    mesh.close()
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(chat(mesh))[0] == 200
        mesh.close()
        assert tls_upstream.wait_closed()
        assert loop.run_until_complete(chat(mesh))[0] == 200
        mesh.close()
    finally:
        loop.close()
    mesh.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_mesh_outlives_loops_that_nobody_told_it_of(
    engine: str, tls_upstream: FakeUpstream, ca_file: str
) -> None:
    mesh = Mesh([provider()], settings=settings_for(tls_upstream, ca_file, upstream_client=engine))
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    for _ in range(5):
        with asyncio.Runner() as runner:
            assert runner.run(chat(mesh))[0] == 200
            loops.append(weakref.ref(runner.get_loop()))
    del runner
    gc.collect()
    assert [loop() is None for loop in loops[:-1]] == [True] * 4  # nor are their connections kept
    mesh.close()
    gc.collect()
    assert tls_upstream.wait_closed()


def test_one_mesh_serves_two_loops_in_two_threads(
    engine: str, tls_upstream: FakeUpstream, ca_file: str
) -> None:
    mesh = Mesh([provider()], settings=settings_for(tls_upstream, ca_file, upstream_client=engine))
    both = threading.Barrier(2, timeout=5)
    statuses: list[int] = []

    async def work() -> None:
        both.wait()
        for _ in range(5):
            answers = await asyncio.gather(*(chat(mesh, stream=odd) for odd in (True, False)))
            statuses.extend(status for status, _ in answers)
        await mesh.aclose()

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert statuses == [200] * 20
    assert tls_upstream.wait_closed()


FORKING = """
import asyncio, os, sys
from llm_mesh_middleware import Mesh
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest

mesh = Mesh()
host = mesh.find(sys.argv[1].encode())

async def status():
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    delivery = await mesh.asend(host, ClientRequest("POST", "/", Headers(), body))
    parts = [data async for data in delivery]
    await delivery.aclose()
    return delivery.reply.status

loop = asyncio.new_event_loop()
before = loop.run_until_complete(status())
child = os.fork()
if child == 0:
    async def in_child():
        answered = await status()
        await mesh.aclose()
        return answered
    os._exit(0 if asyncio.run(in_child()) == 200 else 1)
_, result = os.waitpid(child, 0)
after = loop.run_until_complete(status())
mesh.close()
loop.close()
sys.exit(0 if (before, os.waitstatus_to_exitcode(result), after) == (200, 0, 200) else 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_opens_its_own_connections_and_the_parent_keeps_its(
    engine: str, providers: Providers
) -> None:
    environ = {
        **os.environ,
        "LLM_MESH_CONFIG": str(FIRST),
        "LLM_MESH_ENDPOINTS": json.dumps(providers.dashscope.endpoints),
        "LLM_MESH_CA_FILE": providers.ca_file,
        "LLM_MESH_UPSTREAM_CLIENT": engine,
        "YOUR_DASHSCOPE_API_KEY": DASHSCOPE_KEY,
    }
    command = [sys.executable, "-W", "error", "-c", FORKING, DASHSCOPE]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert [request.connection for request in providers.dashscope.requests] == [1, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": {"access": "keys"}}, "settings must be MeshSettings(...), not dict"),
        ({"store": "redis://store"}, "store must be a store of llm_mesh_middleware.stores; a URL"),
        ({"observer": 5}, "observer must be a function, not int"),
    ],
)
def test_an_argument_of_another_type_is_an_error_at_once(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        Mesh([], **arguments)
