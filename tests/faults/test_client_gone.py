"""A client that goes away takes its upstream call with it, in every phase."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.adapters.meshes import mesh_for
from tests.adapters.wire import CHAT, STREAMED_CHAT, Client, Connect, request_bytes
from tests.conftest import DASHSCOPE, Providers, Serve
from tests.faults.conftest import ASGI

MeshOn = Callable[..., int]

EVENTS = chat_stream()
LIMIT_S = 1.0
TRIES = 3  # the machine may be busy with something else

LEAVE = {"FIN": Client.close, "RST": Client.reset}
PHASES: dict[str, tuple[bytes, Scripted, bytes]] = {
    "waiting for the headers": (CHAT, Cut(how="stall"), b""),
    "waiting for the headers of a stream": (STREAMED_CHAT, Cut(how="stall"), b""),
    "within the headers": (CHAT, Cut(after=20, how="stall"), b""),
    "before the first token": (STREAMED_CHAT, Stream([], end="stall"), b""),
    "within the stream": (STREAMED_CHAT, Stream(EVENTS[:2], end="stall"), EVENTS[1]),
    "within an event": (STREAMED_CHAT, Stream([EVENTS[0], b"data: {"], end="stall"), EVENTS[0]),
    "within the body": (
        CHAT,
        Cut(Answer(body=chat_completion("x" * 500)), at=0.6, how="stall"),
        b"",
    ),
    "in a lively stream": (
        STREAMED_CHAT,
        Stream([EVENTS[1]] * 10_000, pause=0.01),
        EVENTS[1],
    ),
}


@ASGI
@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_the_upstream_call_ends_with_its_client(
    mesh_on: MeshOn,
    connect: Connect,
    providers: Providers,
    server: str,
    phase: tuple[bytes, Scripted, bytes],
    leave: Callable[[Client], None],
) -> None:
    body, answer, awaited = phase
    providers.dashscope.always(answer)
    taken_s = []
    for number in range(1, TRIES + 1):
        client = connect(mesh_on(server))
        client.send(request_bytes(DASHSCOPE, body))
        request = providers.dashscope.wait_for_requests(number)[-1]
        if awaited:
            pieces = iter(client.read_body(client.read_head()))
            received = b""
            while awaited not in received:
                received += next(pieces)
        else:
            assert client.has_nothing(0.02)
        left_at = time.monotonic()
        leave(client)
        assert request.wait_disconnected()
        assert request.disconnected_at is not None
        taken_s.append(request.disconnected_at - left_at)
        if taken_s[-1] < LIMIT_S:
            break

    assert min(taken_s) < LIMIT_S
    providers.dashscope.clear()
    assert connect(mesh_on(server)).ask(request_bytes(DASHSCOPE)).status == 200


@ASGI
def test_a_connection_that_is_being_opened_is_given_up(
    serve: Serve, connect: Connect, providers: Providers, server: str
) -> None:
    with FakeUpstream(host_names=DASHSCOPE, mute=True) as mute:
        settings = providers.settings(endpoints={DASHSCOPE: mute.url})
        client = connect(serve(mesh_for(server, settings=settings), server))
        client.send(request_bytes(DASHSCOPE))
        deadline = time.monotonic() + 10
        while not mute.open_connections:  # the first call of a mesh reads the trust store
            assert client.has_nothing(0.01)
            assert time.monotonic() < deadline
        client.close()

        assert mute.wait_closed()


WRITTEN = "in a lively stream"
UNWRITTEN = {name: phase for name, phase in PHASES.items() if name != WRITTEN}
SHORT_S = 0.25


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
def test_under_wsgi_the_next_write_ends_the_upstream_call(
    mesh_on: MeshOn, connect: Connect, providers: Providers, leave: Callable[[Client], None]
) -> None:
    body, answer, awaited = PHASES[WRITTEN]
    providers.dashscope.always(answer)
    client = connect(mesh_on("wsgiref"))
    client.send(request_bytes(DASHSCOPE, body))
    pieces = iter(client.read_body(client.read_head()))
    assert awaited in b"".join(next(pieces) for _ in range(2))
    leave(client)

    assert providers.dashscope.requests[0].wait_disconnected()


@pytest.mark.parametrize("phase", UNWRITTEN.values(), ids=UNWRITTEN)
def test_under_wsgi_a_silent_provider_is_left_by_its_time_limit(
    mesh_on: MeshOn, connect: Connect, providers: Providers, phase: tuple[bytes, Scripted, bytes]
) -> None:
    body, answer, _ = phase
    providers.dashscope.always(answer)
    limits = {"idle_timeout": SHORT_S, "first_byte_timeout": SHORT_S, "request_timeout": SHORT_S}
    client = connect(mesh_on("wsgiref", **limits))
    client.send(request_bytes(DASHSCOPE, body))
    request = providers.dashscope.wait_for_requests(1)[0]
    client.reset()

    assert request.wait_disconnected()


def test_a_client_that_waits_with_signs_of_life_is_noticed_too(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    for answer in (Cut(how="stall"), Stream(EVENTS[:1], end="stall")):
        providers.dashscope.clear()
        providers.dashscope.always(answer)
        client = connect(mesh_on(server, sse_keepalive=0.03))
        client.send(request_bytes(DASHSCOPE, STREAMED_CHAT))
        pieces = iter(client.read_body(client.read_head()))
        while next(pieces) != b": keep-alive\n\n":
            pass
        [request] = providers.dashscope.wait_for_requests(1)
        client.close()

        assert request.wait_disconnected()


@ASGI
def test_clients_that_go_away_leave_nothing_behind(
    serve: Serve, connect: Connect, providers: Providers, server: str
) -> None:
    with FakeUpstream(host_names=DASHSCOPE, ca=providers.dashscope.ca) as upstream:
        settings = providers.settings(endpoints={DASHSCOPE: upstream.url})
        port = serve(mesh_for(server, settings=settings), server)
        upstream.always(Stream(EVENTS[:2], end="stall"))
        clients = [connect(port) for _ in range(20)]
        for client in clients:
            client.send(request_bytes(DASHSCOPE, STREAMED_CHAT))
        upstream.wait_for_requests(20)
        for client in clients:
            client.reset()

        assert upstream.wait_closed()
        gc.collect()  # whatever was left unclosed would warn here
        assert upstream.open_connections == 0


@ASGI
def test_other_streams_go_on_when_a_client_goes_away(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    providers.dashscope.script(Stream(EVENTS[:1], end="stall"), Stream(EVENTS, pause=0.02))
    leaving, staying = connect(mesh_on(server)), connect(mesh_on(server))
    for number, client in enumerate((leaving, staying), 1):
        client.send(request_bytes(DASHSCOPE, STREAMED_CHAT))
        providers.dashscope.wait_for_requests(number)
    leaving.reset()

    assert staying.read().body == b"".join(EVENTS)
    assert providers.dashscope.requests[0].wait_disconnected()
    assert not providers.dashscope.requests[1].wait_disconnected()
