"""What would go wrong in silence is logged: once, or once a minute a provider."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import llm_mesh_httpx
import llm_mesh_httpx.httpx2
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._mesh.notices import RefusedKeys
from llm_mesh_middleware.config import LLMProvider
from llm_mesh_middleware.settings import load_settings
from tests.canaries import canary
from tests.engine.meshes import chat
from tests.outbound.meshes import QUESTION, make_mesh


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """`warnings()`: what was logged as a warning so far."""

    def logged() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.levelno == logging.WARNING and record.name == "llm_mesh_middleware"
        ]

    return logged


def mesh_with(status: int, *, key: str | None, coding: str = "identity") -> Mesh:
    """A mesh whose provider answers with `status`, in a content coding."""
    config = {"openAIConfig": {"model": "m", "apiKey": key} if key else {"model": "m"}}
    spec = {"host": "main.example", "configs": {"defaultConfig": config}}
    provider = LLMProvider.model_validate({"metadata": {"name": "main"}, "spec": spec})
    body = "{}" if status == 200 else '{"error":{"message":"no"}}'
    headers = {"content-type": "application/json", "content-encoding": coding}
    content = zlib.compress(body.encode()) if coding == "deflate" else body.encode()
    answer = httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))
    return Mesh(
        [provider], settings=MeshSettings(), transport=httpx.MockTransport(lambda _: answer)
    )


@pytest.mark.parametrize(
    ("status", "key", "is_logged"),
    [
        (401, canary("refused"), True),
        (403, canary("refused"), True),
        (401, None, False),
        (400, canary("refused"), False),
        (404, canary("refused"), False),
        (200, canary("refused"), False),
    ],
)
async def test_a_provider_that_refuses_our_key_is_named_once(
    warnings: Callable[[], list[str]], status: int, key: str | None, is_logged: bool
) -> None:
    mesh = mesh_with(status, key=key)
    for _ in range(3):
        await chat(mesh, "main.example")
    told = [text for text in warnings() if "refuses the key" in text]
    assert len(told) == is_logged
    assert all(f"provider main.example responded with {status}" in text for text in told)


def test_a_refused_key_is_logged_again_after_a_minute(warnings: Callable[[], list[str]]) -> None:
    now = [1000.0]
    notice = RefusedKeys(clock=lambda: now[0])
    for host, seconds in (("a", 0), ("a", 59), ("b", 0), ("a", 1), ("b", 58), ("b", 2)):
        now[0] += seconds
        notice(host, 401)
    assert [text.split()[1] for text in warnings()] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("coding", ["x-unknown", "identity", "deflate"])
async def test_a_response_that_passes_unread_is_told_once(
    warnings: Callable[[], list[str]], status: int, coding: str
) -> None:
    mesh = mesh_with(status, key=None, coding=coding)
    replies = [await chat(mesh, "main.example") for _ in range(3)]
    assert {answered for answered, _ in replies} == {status}
    told = [text for text in warnings() if "unread" in text]
    assert len(told) == (coding == "x-unknown")
    assert all("provider main.example" in text and "'x-unknown'" in text for text in told)


FLAVOURS = [(httpx, llm_mesh_httpx), (httpx2, llm_mesh_httpx.httpx2)]


@pytest.mark.parametrize(("library", "ours"), FLAVOURS, ids=["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("main.exmaple", True),
        ("main-example", True),
        ("mian.example:80", True),
        ("app.other.test", False),
        ("127.0.0.1", False),
        ("l", False),
    ],
)
async def test_a_host_that_is_nearly_a_virtual_host_is_named_once(
    warnings: Callable[[], list[str]], library: ModuleType, ours: Any, host: str, is_near: bool
) -> None:
    def answer(request: Any) -> Any:
        return library.Response(200, json={})

    mesh = mesh_with(200, key=None)
    transport = ours.MeshTransport(mesh, transport=library.MockTransport(answer))
    with library.Client(transport=transport) as client:
        for _ in range(3):
            client.post(f"http://{host}/v1/chat/completions", json=QUESTION)
    atransport = ours.AsyncMeshTransport(mesh, transport=library.MockTransport(answer))
    async with library.AsyncClient(transport=atransport) as client:
        for _ in range(3):
            await client.post(f"http://{host}/v1/chat/completions", json=QUESTION)
    assert ["did you mean main.example?" in text for text in warnings()] == [True] * (2 * is_near)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LLM_MESH_ACESS", "did you mean LLM_MESH_ACCESS?"),
        ("LLM_MESH_CLIENT_KEY", "did you mean LLM_MESH_CLIENT_KEYS?"),
        ("LLM_MESH_RELOADINTERVAL", "did you mean LLM_MESH_RELOAD_INTERVAL?"),
        ("LLM_MESH_ZZZZZZZZZZZZZZZZZZZZZ", "no setting has this name"),
        ("LLM_MESH_PORT", None),
        ("LLM_MESH_PORT_15001_TCP_ADDR", None),
        ("LLM_MESH_SERVICE_HOST", None),
        ("LLM_MESH_SERVICE_PORT_HTTP", None),
        ("LLM_MESH_ACCESS", None),
        ("MY_LLM_MESH_ACESS", None),
    ],
)
def test_a_variable_that_no_setting_has_is_named(
    monkeypatch: pytest.MonkeyPatch,
    warnings: Callable[[], list[str]],
    name: str,
    told: str | None,
) -> None:
    monkeypatch.setenv(name, "keys")
    for _ in range(3):
        load_settings()
    named = [text for text in warnings() if text.startswith(f"{name} ")]
    assert len(named) == (told is not None)
    assert all(str(told) in text for text in named)


@pytest.mark.parametrize("config", [None, (), []])
def test_a_mesh_without_configuration_says_so(
    warnings: Callable[[], list[str]], config: Any
) -> None:
    Mesh(config, settings=MeshSettings())
    (text,) = warnings()
    assert "no configuration" in text
    assert "LLM_MESH_CONFIG" in text


def test_a_mesh_with_a_configuration_is_silent(warnings: Callable[[], list[str]]) -> None:
    make_mesh()
    assert warnings() == []
