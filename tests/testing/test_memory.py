"""A provider without a socket behind a mesh, and the question which way a request went."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.inbound import ClientRequest, Headers
from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Drip,
    MemoryUpstream,
    Stream,
    assert_routed,
    chat_stream,
    error_body,
)
from tests.conftest import MANIFESTS
from tests.rows import rows

EVENTS = chat_stream(["Good ", "morning"], include_usage=False)


class Got:
    """An answer as any client has it."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


@pytest.fixture
def upstream() -> MemoryUpstream:
    return MemoryUpstream()


@pytest.fixture
def mesh(upstream: MemoryUpstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mesh]:
    def no_socket(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", no_socket)
    yield (mesh := Mesh(str(MANIFESTS), settings=MeshSettings(), transport=upstream))
    mesh.close()


def request(**members: Any) -> ClientRequest:
    body = {"messages": [{"role": "user", "content": "Good morning"}], **members}
    headers = Headers([(b"user-type", b"subscriber")])
    return ClientRequest("POST", "/", headers, json.dumps(body).encode())


def ask(mesh: Mesh, **members: Any) -> Got:
    host = mesh.find(b"dashscope.aliyuncs.com")
    assert host is not None
    delivery = mesh.send(host, request(**members))
    reply = delivery.reply
    body = b"".join(delivery) if reply.is_stream else delivery.take()
    delivery.close()
    return Got(reply.status, {k.decode(): v.decode() for k, v in reply.headers}, body)


def test_a_route_is_tested_without_a_socket(mesh: Mesh, upstream: MemoryUpstream) -> None:
    answer = ask(mesh)
    assert_routed(answer, provider="dashscope-qwen", rule="vip-route", model="qwen-turbo")
    (seen,) = upstream.requests
    assert seen.header("host") == "dashscope.aliyuncs.com"
    assert (seen.path, seen.json()["model"]) == (
        "/compatible-mode/v1/chat/completions",
        "qwen-turbo",
    )
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "You said: Good morning"


async def test_it_serves_event_loops_as_well(mesh: Mesh, upstream: MemoryUpstream) -> None:
    upstream.script(Stream([EVENTS[0], 30.0, *EVENTS[1:]]))
    host = mesh.find(b"dashscope.aliyuncs.com")
    assert host is not None
    delivery = await mesh.asend(host, request(stream=True))
    assert b"".join([piece async for piece in delivery]) == b"".join(EVENTS)
    await delivery.aclose()
    await mesh.aclose()


def test_scripted_answers_come_in_order_and_then_the_standing_one(
    mesh: Mesh, upstream: MemoryUpstream
) -> None:
    upstream.script(Answer(400, body=error_body("first")), lambda seen: Answer(404))
    upstream.always(Answer(422))
    assert [ask(mesh).status for _ in range(4)] == [400, 404, 422, 422]
    upstream.clear()
    assert (ask(mesh).status, len(upstream.requests)) == (200, 1)


def test_a_provider_that_hangs_up_is_called_again(mesh: Mesh, upstream: MemoryUpstream) -> None:
    upstream.script(Cut(how="reset"))
    assert_routed(ask(mesh), attempts=2)


def test_a_stream_may_break_off(mesh: Mesh, upstream: MemoryUpstream) -> None:
    upstream.script(Stream(EVENTS[:2], end="reset"))
    assert b"stream_interrupted" in ask(mesh, stream=True).body


def test_what_needs_a_socket_says_so(mesh: Mesh, upstream: MemoryUpstream) -> None:
    upstream.script(Drip())
    with pytest.raises(TypeError, match="Drip needs a socket: use FakeUpstream"):
        ask(mesh)


HEADERS = {
    "x-llm-mesh-provider": "stable",
    "x-llm-mesh-route": "chat",
    "x-llm-mesh-rule": "canary",
    "x-llm-mesh-model": "m-1",
    "x-llm-mesh-attempts": "1",
}


@rows(
    ("wanted", "complaint"),
    [
        ({"provider": "new"}, "expected provider 'new'; the request went to provider 'stable'"),
        ({"rule": "rest", "model": "m-2"}, "expected rule 'rest', model 'm-2'; "),
        ({"attempts": 2, "provider": "stable"}, "expected attempts '2'; "),
    ],
)
def test_another_way_is_shown(wanted: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_routed(Got(200, HEADERS, b""), **wanted)
    assert str(caught.value).startswith(complaint)


def test_an_answer_that_does_not_tell_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="has no x-llm-mesh-attempts"):
        assert_routed(Got(200, {}, b""))
