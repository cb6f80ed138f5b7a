"""Follow-ups to stored responses, through meshes that share what they know in a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from random import Random

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest, Stream
from tests.policies.servers import Server
from tests.resilience.meshes import HOST, key_of, provider, route

NAMES = ("left", "right")
SPEC = {
    name: {
        "path": f"/{name}/v1/responses",
        "configs": {
            "defaultConfig": {
                "openAIConfig": {"model": name, "apiKey": key_of(name), "apis": ["responses"]}
            }
        },
    }
    for name in NAMES
}
RULE = [{"providerHost": f"{name}.example", "weight": 50} for name in NAMES]
NUMBERS = count(1)


def response_of(name: str) -> dict[str, object]:
    return {"id": f"resp_{name}_{next(NUMBERS)}", "object": "response", "output": []}


def answers(name: str) -> Callable[[RecordedRequest], Answer | Stream]:
    def answer(request: RecordedRequest) -> Answer | Stream:
        response = response_of(name)
        if not request.json().get("stream"):
            return Answer(body=json.dumps({**response, "status": "completed"}).encode())
        events = [
            {"type": kind, "response": response}
            for kind in ("response.created", "response.completed")
        ]
        data = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
        return Stream(data)

    return answer


@pytest.fixture
def upstreams() -> Iterator[dict[str, FakeUpstream]]:
    with ExitStack() as stack:
        found = {}
        for name in NAMES:
            found[name] = stack.enter_context(FakeUpstream(tls=False, api_key=key_of(name)))
            found[name].always(answers(name))
        yield found


@pytest.fixture
def mesh_of(upstreams: dict[str, FakeUpstream]) -> Iterator[Callable[..., Mesh]]:
    """`mesh_of(url)`: a mesh of a process of its own, as far as what it remembers is concerned."""
    made: list[Mesh] = []

    def make(store: str, **settings: object) -> Mesh:
        documents = [provider(name, upstreams[name], **SPEC[name]) for name in NAMES]
        made.append(
            Mesh(
                (*documents, route(*RULE)),
                settings=MeshSettings(store=store, **settings),  # type: ignore[arg-type]
                rng=Random(len(made)).random,
            )
        )
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()


def asked(earlier: str | None, *, stream: bool = False) -> ClientRequest:
    body: dict[str, object] = {"input": f"hi {next(NUMBERS)}", "stream": stream}
    if earlier is not None:
        body["previous_response_id"] = earlier
    return ClientRequest("POST", "/v1/responses", Headers([]), json.dumps(body).encode())


def id_of(body: bytes) -> str:
    return body.partition(b'"id": "')[2].partition(b'"')[0].decode()


def ask(mesh: Mesh, earlier: str | None = None, *, stream: bool = False) -> str:
    """Send one request by the synchronous driver; return the response's id."""
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = mesh.send(host, asked(earlier, stream=stream))
    try:
        assert delivery.reply.status == 200
        return id_of(b"".join(delivery) if stream else delivery.take())
    finally:
        delivery.close()


async def aask(mesh: Mesh, earlier: str | None = None, *, stream: bool = False) -> str:
    """Do as `ask`, by the asynchronous driver."""
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = await mesh.asend(host, asked(earlier, stream=stream))
    try:
        assert delivery.reply.status == 200
        if not stream:
            return id_of(delivery.take())
        return id_of(b"".join([piece async for piece in delivery]))
    finally:
        await delivery.aclose()


def provider_of(response: str) -> str:
    return response.split("_")[1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_follow_up_through_another_mesh_goes_to_the_same_provider(
    server: Server, mesh_of: Callable[..., Mesh], *, stream: bool
) -> None:
    first, second = mesh_of(server.url, store_timeout=2), mesh_of(server.url, store_timeout=2)
    seen = set()
    for _ in range(12):
        begun = ask(first, stream=stream)
        seen.add(provider_of(begun))
        followed = ask(second, begun, stream=stream)
        assert provider_of(followed) == provider_of(begun)
        assert provider_of(ask(first, followed)) == provider_of(begun)
    assert seen == set(NAMES)


@pytest.mark.parametrize("stream", [False, True])
async def test_event_loops_share_it_too(
    server: Server, mesh_of: Callable[..., Mesh], *, stream: bool
) -> None:
    meshes = [mesh_of(server.url, store_timeout=2) for _ in range(2)]
    for _ in range(6):
        begun = await aask(meshes[0], stream=stream)
        followed = await asyncio.gather(*(aask(mesh, begun, stream=stream) for mesh in meshes * 3))
        assert {provider_of(each) for each in followed} == {provider_of(begun)}
    for mesh in meshes:
        await mesh.aclose()


def test_the_store_has_hashes_that_end_after_a_day(
    server: Server, mesh_of: Callable[..., Mesh]
) -> None:
    ask(mesh_of(server.url, store_timeout=2))
    (key,) = server.client.keys("*response*")
    assert b"resp_" not in key + server.client.get(key)
    assert 86_000 < server.client.ttl(key) <= 86_400


def test_by_itself_a_mesh_remembers_in_memory(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of("memory:")
    for _ in range(8):
        begun = ask(mesh)
        assert provider_of(ask(mesh, begun)) == provider_of(begun)


def test_without_the_store_a_mesh_knows_its_own_responses_and_waits_for_nothing(
    program: str, mesh_of: Callable[..., Mesh]
) -> None:
    server = Server()
    mesh, other = mesh_of(server.url, store_timeout=0.1), mesh_of(server.url, store_timeout=0.1)
    known = ask(mesh)
    server.hang()
    try:
        began = time.monotonic()
        for _ in range(20):
            assert provider_of(ask(mesh, known)) == provider_of(known)
            ask(other, known)  # wherever the weights send it
        assert time.monotonic() - began < 6  # forty timeouts of both kinds are 8 s
    finally:
        server.go_on()
        server.stop()
