"""What is particular to a mesh inside an HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import llm_mesh_httpx
import llm_mesh_httpx.httpx2
from llm_mesh_middleware import ConfigError, Mesh, MeshSettings
from llm_mesh_middleware._engine.tasks.wheel import wheel_of
from llm_mesh_middleware.testing import FakeUpstream, Stream, chat_stream
from tests.canaries import canary
from tests.conftest import DASHSCOPE, Providers
from tests.outbound.meshes import KEY, QUESTION, URL, make_mesh

FLAVOURS = [(httpx, llm_mesh_httpx), (httpx2, llm_mesh_httpx.httpx2)]
flavours = pytest.mark.parametrize(("library", "ours"), FLAVOURS, ids=["httpx", "httpx2"])


def elsewhere(library: ModuleType) -> Any:
    """A transport for other hosts; it notes when it is closed."""

    class Elsewhere(library.MockTransport):  # type: ignore[misc, name-defined]
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

        async def aclose(self) -> None:
            self.is_closed = True

    return Elsewhere(lambda request: library.Response(200, text="elsewhere", request=request))


@flavours
def test_other_hosts_go_through_the_transport_that_is_wrapped(library: Any, ours: Any) -> None:
    other = elsewhere(library)
    with library.Client(transport=ours.MeshTransport(make_mesh(), transport=other)) as client:
        assert client.post("http://llm.example/v1/chat/completions", json={}).text == "elsewhere"
        assert client.post(URL, json=QUESTION).json()["choices"] == []
    assert other.is_closed


@flavours
async def test_other_hosts_go_through_the_asynchronous_transport_that_is_wrapped(
    library: Any, ours: Any
) -> None:
    other = elsewhere(library)
    transport = ours.AsyncMeshTransport(make_mesh(), transport=other)
    async with library.AsyncClient(transport=transport) as client:
        assert (await client.get("http://llm.example/")).text == "elsewhere"
        assert (await client.post(URL, json=QUESTION)).json()["choices"] == []
    assert other.is_closed


@flavours
async def test_other_hosts_are_reached_by_default(library: Any, ours: Any) -> None:
    mesh = make_mesh()
    with FakeUpstream(tls=False) as server:
        url = f"http://127.0.0.1:{server.port}/v1/models"
        with library.Client(transport=ours.MeshTransport(mesh)) as client:
            assert client.get(url).json()["data"][0]["id"] == "fake-model"
        async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as async_client:
            assert (await async_client.get(url)).json()["data"][0]["id"] == "fake-model"


@flavours
@pytest.mark.parametrize("url", [URL, "https://llm/v1/chat/completions", "http://LLM:80/"])
def test_a_virtual_host_is_served_under_any_scheme(library: Any, ours: Any, url: str) -> None:
    calls: list[httpx.Request] = []
    with library.Client(transport=ours.MeshTransport(make_mesh(calls=calls))) as client:
        answer = client.post(
            url, json=QUESTION, headers={"authorization": f"Bearer {canary('of the caller')}"}
        )
    seen = answer.json()["seen"]
    assert seen["url"] == "https://main.example/v1/chat/completions"
    assert [call.headers["authorization"] for call in calls] == [f"Bearer {KEY}"]
    assert seen["headers"]["host"] == "main.example"
    assert seen["body"]["model"] == "m-1"


@flavours
def test_a_response_is_the_librarys_own(library: Any, ours: Any) -> None:
    with library.Client(transport=ours.MeshTransport(make_mesh())) as client:
        answer = client.post(URL, json=QUESTION)
    assert type(answer) is library.Response
    assert answer.http_version == "HTTP/1.1"
    assert "network_stream" not in answer.extensions
    assert answer.elapsed.total_seconds() > 0
    assert answer.request.url == URL


@flavours
def test_errors_of_the_mesh_are_answers(library: Any, ours: Any) -> None:
    mesh = make_mesh({"matches": [{"headers": {"x": {"exact": "never"}}}]})
    with library.Client(transport=ours.MeshTransport(mesh)) as client:
        answer = client.post(URL, json=QUESTION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_not_found")


@flavours
def test_a_host_field_that_disagrees_with_the_url_is_400(library: Any, ours: Any) -> None:
    with library.Client(transport=ours.MeshTransport(make_mesh())) as client:
        answer = client.post(URL, json=QUESTION, headers={"host": "other.example"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
        assert client.post(URL, json=QUESTION, headers={"host": "LLM."}).status_code == 200


@flavours
def test_a_body_may_come_in_pieces_but_not_be_too_long(library: Any, ours: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"messages":'
        yield b"[]}"

    mesh = make_mesh(max_request_bytes=100)
    with library.Client(transport=ours.MeshTransport(mesh)) as client:
        assert client.post(URL, content=pieces()).json()["seen"]["body"]["messages"] == []
        assert client.post(URL, json={"messages": "x" * 100}).status_code == 413
        assert client.post(URL, content=iter([b"x" * 101])).status_code == 413


@flavours
def test_a_mesh_that_was_given_stays_open(library: Any, ours: Any) -> None:
    mesh = make_mesh()
    for _ in range(2):
        with library.Client(transport=ours.MeshTransport(mesh)) as client:
            assert client.post(URL, json=QUESTION).status_code == 200


@flavours
def test_a_transport_makes_its_own_mesh_from_manifests(
    library: Any, ours: Any, providers: Providers
) -> None:
    transport = ours.MeshTransport(settings=providers.settings())
    with library.Client(transport=transport) as client:
        assert client.post(f"http://{DASHSCOPE}/", json=QUESTION).status_code == 200
    assert isinstance(transport.mesh, Mesh)
    with pytest.raises(ConfigError):
        ours.MeshTransport("no-such.yaml", settings=MeshSettings())


@flavours
async def test_a_cancelled_call_closes_the_upstream(
    library: Any, ours: Any, providers: Providers, mesh: Mesh
) -> None:
    providers.dashscope.always(Stream([], end="stall"))
    async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as client:
        call = asyncio.create_task(client.post(f"http://{DASHSCOPE}/", json=QUESTION))
        (request,) = await asyncio.to_thread(providers.dashscope.wait_for_requests, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(request.wait_disconnected, 0.5)
    await mesh.aclose()


@flavours
async def test_a_stream_that_is_left_leaves_no_task_and_no_timer(
    library: Any, ours: Any, providers: Providers, mesh: Mesh
) -> None:
    providers.dashscope.always(Stream(chat_stream()[:1] * 100, pause=0.01))
    body = QUESTION | {"stream": True}
    async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as client:
        async with client.stream("POST", f"http://{DASHSCOPE}/", json=body) as answer:
            await anext(answer.aiter_raw())
        (request,) = providers.dashscope.requests
        assert await asyncio.to_thread(request.wait_disconnected, 0.5)
        # The generators of the library that the call above left behind are closed by the loop, each
        # in a task that it starts for it.
        for _ in range(10):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        loop: Any = asyncio.get_running_loop()
        wheel = wheel_of(loop)  # of the loop, which keeps it: its timer finds that nothing waits
        assert not wheel._waiting
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]
        assert [timer for timer in timers if timer._callback != wheel._turn] == []
    await mesh.aclose()


@flavours
def test_a_clients_timeout_is_not_the_meshs(
    library: Any, ours: Any, providers: Providers, mesh: Mesh
) -> None:
    providers.dashscope.always(Stream([0.03, *chat_stream()]))
    with library.Client(transport=ours.MeshTransport(mesh), timeout=0.001) as client:
        body = QUESTION | {"stream": True}
        answer = client.post(f"http://{DASHSCOPE}/", json=body)
    assert answer.content.endswith(b"data: [DONE]\n\n")


@flavours
async def test_one_mock_serves_both_ways(library: Any, ours: Any) -> None:
    mesh = make_mesh()
    with library.Client(transport=ours.MeshTransport(mesh)) as client:
        assert client.post(URL, json=QUESTION).status_code == 200
    async with library.AsyncClient(transport=ours.AsyncMeshTransport(mesh)) as async_client:
        assert (await async_client.post(URL, json=QUESTION)).status_code == 200


def test_a_client_of_the_other_library_is_told_which_transport_it_needs() -> None:
    transport: Any = llm_mesh_httpx.httpx2.MeshTransport(make_mesh())
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(TypeError, match="for clients of httpx2, and the client is one of httpx: "),
    ):
        client.post(URL, json=QUESTION)


@flavours
def test_a_client_of_the_other_kind_is_told_which_transport_it_needs(
    library: Any, ours: Any
) -> None:
    client = library.Client(transport=ours.AsyncMeshTransport(make_mesh()))
    with pytest.raises(AttributeError, match="'handle_request'; for this client use MeshTran"):
        client.post(URL, json=QUESTION)
    with pytest.raises(AttributeError, match="'__enter__'; for this client use MeshTransport"):
        library.Client(transport=ours.AsyncMeshTransport(make_mesh())).__enter__()
    assert not hasattr(ours.MeshTransport(make_mesh()), "handle_async_request")


def test_settings_beside_a_mesh_are_an_error() -> None:
    with pytest.raises(TypeError, match="settings are for a new mesh"):
        llm_mesh_httpx.MeshTransport(make_mesh(), settings=MeshSettings())
