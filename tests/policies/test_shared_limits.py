"""Limits over a real server: of two meshes as of one, also while the server is away."""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware.exceptions import AnswerableError, ConfigError
from llm_mesh_middleware.settings import load_settings
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion, token_usage
from tests.policies.servers import Server
from tests.policies.worker import REQUEST, status
from tests.resilience.meshes import HOST, PRIMARY, key_of, provider, route


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        upstream.always(Answer(body=chat_completion("hello", usage=token_usage(20, 80))))
        yield upstream


def mesh_of(upstream: FakeUpstream, server: Server, **limit: Any) -> Mesh:
    spec = {"limits": [{"name": "one", **limit}]}
    policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})
    settings = MeshSettings(store=server.url, store_timeout=5)  # type: ignore[arg-type]
    return Mesh((provider("primary", upstream), route(PRIMARY), policy), settings=settings)


def keys(server: Server) -> list[bytes]:
    """Return the buckets and slots that are left."""
    return [key for key in server.client.keys("*") if key.endswith((b":t", b":c", b":r"))]


def settled_s(server: Server) -> float:
    """Return how many seconds the bucket lacks."""
    full_at = float(server.client.get("llm-mesh:{default/team/one}:t") or 0)
    return full_at / 1e6 + 1_735_689_600 - time.time()


async def test_two_meshes_share_a_limit(upstream: FakeUpstream, server: Server) -> None:
    meshes = [mesh_of(upstream, server, tokens=1000, per="1h", concurrency=50) for _ in range(2)]
    statuses = await asyncio.gather(*(status(mesh) for mesh in meshes * 20))
    assert 4 <= statuses.count(200) <= 10
    assert set(statuses) == {200, 429}
    for mesh in meshes:
        # A mesh waits a second for its settlements, and a busy machine may need longer.
        await asyncio.to_thread(mesh._parts._own_store.flush, 60)  # type: ignore[union-attr]
        await mesh.aclose()
        mesh.close()
    assert abs(settled_s(server) - statuses.count(200) * 360) < 30
    assert b"llm-mesh:{default/team/one}:c" not in keys(server)


def test_threads_share_it_too(upstream: FakeUpstream, server: Server) -> None:
    mesh = mesh_of(upstream, server, requests=3, per="1h", concurrency=1)
    host = mesh.find(HOST.encode())
    assert host is not None
    statuses = []
    for _ in range(4):
        try:
            delivery = mesh.send(host, REQUEST)
            statuses.append(delivery.reply.status)
            delivery.close()
        except AnswerableError as error:
            statuses.append(error.status)
        mesh._parts._own_store.flush(60)  # type: ignore[union-attr]
    assert statuses == [200, 200, 200, 429]
    mesh.close()


@pytest.mark.parametrize(
    ("on_failure", "statuses"),
    [("local", [200, 200, 429]), ("allow", [200, 200, 200]), ("deny", [503, 503, 503])],
)
async def test_while_the_server_is_away_each_limit_does_as_configured(
    upstream: FakeUpstream,
    program: str,
    on_failure: str,
    statuses: list[int],
) -> None:
    server = Server()
    server.stop()
    mesh = mesh_of(upstream, server, requests=2, per="1h", onStoreFailure=on_failure)
    assert [await status(mesh) for _ in range(3)] == statuses
    await mesh.aclose()


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("memory:", True),
        ("redis://:secret@h:6379/0", True),
        ("rediss+cluster://h", True),
        ("unix:///run/redis.sock", True),
        ("http://:hunter2@h", False),
        ("redis", False),
        ("redis://:hunter2/@h", False),
        ("redis://h:port", False),
        ("redis://h:99999", False),
    ],
)
def test_the_url_of_a_store(url: str, is_right: bool) -> None:
    if is_right:
        assert load_settings(store=url).store.get_secret_value() == url
        return
    with pytest.raises(ConfigError) as raised:
        load_settings(store=url)
    assert re.match("LLM_MESH_STORE: must (be memory: or a URL|have a port)", str(raised.value))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("query", ["colour=red", "socket_timeout=soon"])
def test_a_url_that_redis_refuses_ends_the_start(query: str) -> None:
    settings = load_settings(store=f"redis://:hunter2@h:6379/0?{query}")
    with pytest.raises(ConfigError, match="LLM_MESH_STORE: cannot be read by redis-py") as raised:
        Mesh([], settings=settings)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))
