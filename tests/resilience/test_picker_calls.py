"""Exchanges with an endpoint picker: what it is told of responses, and one connection for all."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from llm_mesh_httpx import AsyncMeshTransport
from llm_mesh_middleware._core.provider.servers.picker import EndpointPicker, PickRequest
from llm_mesh_middleware._engine.ports.endpoint_picker import EndpointPickers
from llm_mesh_middleware.testing import Answer, Gate, Stream, chat_stream, error_body
from tests.resilience.model_servers import ModelServer
from tests.resilience.picker import Exchange, Picker
from tests.resilience.test_endpoint_picker import BODY, URL, client_of, mesh_of


@pytest.fixture
def picker() -> Iterator[Picker]:
    with Picker() as running:
        yield running


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(2)]


def paused(gate: Gate) -> Stream:
    first, *rest = chat_stream(["a", "b"])
    return Stream([first, gate, *rest])


def are_over(count: int, asked: list[Exchange]) -> bool:
    return len(asked) == count and all(each.is_over for each in asked)


def test_it_is_told_which_server_has_responded(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    servers[0].chat = Answer(503, [], error_body("down"))
    picker.picks = [server.address for server in servers]
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        assert client.post(URL, json=BODY).status_code == 200
        picker.wait_until(lambda asked: are_over(1, asked))
    assert picker.asked[0].served == [("200", servers[1].address)]


def test_it_is_told_of_a_response_that_is_an_error(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    servers[0].chat = Answer(400, [], error_body("no"))
    picker.picks = [servers[0].address]
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        assert client.post(URL, json=BODY).status_code == 400
        picker.wait_until(lambda asked: are_over(1, asked))
    assert picker.asked[0].served == [("400", servers[0].address)]


def test_an_exchange_is_over_with_its_stream(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    gate = Gate()
    servers[0].chat = paused(gate)
    picker.picks = [servers[0].address]
    mesh = mesh_of(tmp_path, servers, picker.address)
    with client_of(mesh) as client:
        with client.stream("POST", URL, json=BODY | {"stream": True}) as reply:
            pieces = reply.iter_raw()
            next(pieces)
            picker.wait_until(lambda asked: asked[0].served == [("200", servers[0].address)])
            assert not picker.asked[0].is_over
            gate.open()
            assert b"[DONE]" in b"".join(pieces)
        picker.wait_until(lambda asked: are_over(1, asked))


async def test_an_exchange_is_over_if_the_client_leaves(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    gate = Gate()
    servers[0].chat = paused(gate)
    picker.picks = [servers[0].address]
    mesh = mesh_of(tmp_path, servers, picker.address)
    async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh), timeout=30) as client:
        async with client.stream("POST", URL, json=BODY | {"stream": True}) as reply:
            await anext(reply.aiter_raw())
        await asyncio.to_thread(picker.wait_until, lambda asked: are_over(1, asked))
    gate.open()
    await mesh.aclose()


@pytest.mark.parametrize("size", [60_000, 200_000, 5_000_000])
def test_a_long_request_is_told_in_pieces(
    tmp_path: Path, picker: Picker, servers: list[ModelServer], size: int
) -> None:
    picker.picks = [servers[0].address]
    body = BODY | {"user": "x" * size}
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        assert client.post(URL, json=body).status_code == 200
    (asked,) = picker.asked
    assert json.loads(asked.body) == body
    assert asked.pieces == -(-len(asked.body) // 60_000)


def test_threads_share_a_connection(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    picker.picks = [servers[0].address]
    mesh = mesh_of(tmp_path, servers, picker.address)
    with client_of(mesh) as client, ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda n: client.post(URL, json=BODY | {"n": n}), range(40)))
        assert {reply.status_code for reply in replies} == {200}
        picker.wait_until(lambda asked: are_over(40, asked))
    assert {json.loads(each.body)["n"] for each in picker.asked} == set(range(40))


async def test_tasks_share_a_connection(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    picker.picks = [servers[0].address]
    mesh = mesh_of(tmp_path, servers, picker.address)
    async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh), timeout=30) as client:
        calls = (client.post(URL, json=BODY | {"n": n}) for n in range(40))
        replies = await asyncio.gather(*calls)
        assert {reply.status_code for reply in replies} == {200}
        await asyncio.to_thread(picker.wait_until, lambda asked: are_over(40, asked))
    await mesh.aclose()


def test_a_picker_that_was_restarted_is_asked_again(
    tmp_path: Path, servers: list[ModelServer]
) -> None:
    with Picker() as first:
        first.picks = [servers[0].address]
        mesh = mesh_of(tmp_path, servers, first.address)
        with client_of(mesh) as client:
            assert client.post(URL, json=BODY).status_code == 200
            first.__exit__(None, None, None)
            assert client.post(URL, json=BODY).status_code == 503
            with Picker(address=first.address) as second:
                second.picks = [servers[1].address]
                assert client.post(URL, json=BODY).status_code == 200
    assert [server.calls for server in servers] == [1, 1]


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64])
def test_what_is_no_picker_does_not_respond(says: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def respond() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(says)
                peer.recv(65_536)

        thread = threading.Thread(target=respond)
        thread.start()
        pickers = EndpointPickers()
        picked = pickers.ask(request(listener.getsockname()[1]), time.monotonic() + 5)
        thread.join(5)
    assert (picked.status, picked.addresses, picked.call) == (0, (), None)
    pickers.close()


def test_a_picker_that_says_nothing_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        pickers = EndpointPickers()
        asked = request(listener.getsockname()[1])
        assert pickers.ask(asked, time.monotonic() + 0.05).status == 0
        pickers.close()


async def test_a_picker_that_says_nothing_is_given_up_in_an_event_loop_too() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        pickers = EndpointPickers()
        asked = request(listener.getsockname()[1])
        assert (await pickers.aask(asked, time.monotonic() + 0.05)).status == 0
        await pickers.aclose()


def request(port: int) -> PickRequest:
    return PickRequest(EndpointPicker(f"127.0.0.1:{port}"), ((":method", "POST"),), b"{}")
