"""What the driver guarantees whatever happens: one ending, no connection and no task left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from llm_mesh_middleware import (
    ClientDisconnected,
    InvalidJSON,
    Mesh,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
)
from llm_mesh_middleware.testing import (
    Answer,
    CertificateAuthority,
    Cut,
    FakeUpstream,
    Gate,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.engine.calls import HOST
from tests.engine.meshes import Recorders, chat, open_chat, provider, settings_for

EVENTS = chat_stream(["Good ", "day"])


@pytest.fixture
def observer() -> Recorders:
    return Recorders()


@pytest.fixture
async def mesh(
    engine: str, tls_upstream: FakeUpstream, ca_file: str, observer: Recorders
) -> AsyncIterator[Mesh]:
    settings = settings_for(tls_upstream, ca_file, upstream_client=engine)
    mesh = Mesh([provider()], settings=settings, observer=observer)
    yield mesh
    await mesh.aclose()


async def _assert_nothing_is_left(upstream: FakeUpstream) -> None:
    assert await asyncio.to_thread(upstream.wait_closed, 1), upstream
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(body=chat_completion()), 200),
        (Answer(400, body=error_body("no")), 400),
        (Answer(422, body=b"<html>no</html>"), 422),
        (Answer(401, body=b""), 401),
    ],
)
async def test_a_whole_answer_ends_once_with_its_status(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders, answer: Answer, status: int
) -> None:
    tls_upstream.always(answer)
    assert (await chat(mesh))[0] == status
    assert observer.endings == [(status, None)]


async def test_a_stream_ends_once_and_without_error(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders
) -> None:
    tls_upstream.always(Stream(EVENTS))
    assert (await chat(mesh, stream=True)) == (200, b"".join(EVENTS))
    assert observer.endings == [(200, None)]
    await chat(mesh, stream=True)
    assert [request.connection for request in tls_upstream.requests] == [1, 1]


async def test_a_bad_request_ends_once_and_reaches_nobody(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders
) -> None:
    with pytest.raises(InvalidJSON):
        await chat(mesh, body=b"{")
    assert observer.endings == [(400, InvalidJSON)]
    assert tls_upstream.accepted_connections == 0


async def test_no_answer_ends_once_with_the_error(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders
) -> None:
    tls_upstream.always(Cut())
    with pytest.raises(UpstreamConnectError):
        await chat(mesh)
    assert observer.endings == [(502, UpstreamConnectError)]
    await _assert_nothing_is_left(tls_upstream)


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_half_a_json_ends_once_with_the_error(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders, how: str
) -> None:
    tls_upstream.always(Cut(Answer(body=chat_completion("x" * 2000)), at=0.8, how=how))  # type: ignore[arg-type]
    with pytest.raises(UpstreamProtocolError):
        await chat(mesh)
    assert observer.endings == [(502, UpstreamProtocolError)]
    await _assert_nothing_is_left(tls_upstream)


@pytest.mark.parametrize("end", ["fin", "reset", "bad_chunk"])
async def test_a_torn_stream_ends_once_with_its_status_and_the_error(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders, end: str
) -> None:
    gate, sent = Gate(), b"".join(EVENTS[:2])
    tls_upstream.always(Stream([*EVENTS[:2], gate], end=end))  # type: ignore[arg-type]
    delivery = await open_chat(mesh, stream=True)
    body = b""
    async for data in delivery:
        body += data
        if body == sent:
            gate.open()
    await delivery.aclose()
    assert delivery.reply.status == 200
    assert body.startswith(sent)
    assert b'"code":"stream_interrupted"' in body
    assert b"[DONE]" not in body
    assert observer.endings == [(200, UpstreamProtocolError)]
    await _assert_nothing_is_left(tls_upstream)


async def _leave_at_once(mesh: Mesh) -> None:
    delivery = await open_chat(mesh, stream=True)
    await delivery.aclose()


async def _leave_after_the_first_bytes(mesh: Mesh) -> None:
    delivery = await open_chat(mesh, stream=True)
    async with contextlib.aclosing(aiter(delivery)) as parts:
        await anext(parts)
    await delivery.aclose()


async def _leave_twice(mesh: Mesh) -> None:
    delivery = await open_chat(mesh, stream=True)
    await delivery.aclose()
    await delivery.aclose()


async def _leave_before_a_read_begins(mesh: Mesh) -> None:
    delivery = await open_chat(mesh, stream=True)
    reading = asyncio.create_task(delivery.read())
    reading.cancel()
    await asyncio.wait((reading,))
    await delivery.aclose()


@pytest.mark.parametrize(
    "leave",
    [_leave_at_once, _leave_before_a_read_begins, _leave_after_the_first_bytes, _leave_twice],
)
async def test_a_client_that_leaves_ends_the_stream_once(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders, leave: Callable[..., object]
) -> None:
    tls_upstream.always(Stream([*EVENTS[:2], Gate(), *EVENTS[2:]]))
    await leave(mesh)  # type: ignore[misc]
    assert observer.endings == [(200, ClientDisconnected)]
    assert await asyncio.to_thread(tls_upstream.requests[0].wait_disconnected, 0.5)
    await _assert_nothing_is_left(tls_upstream)


async def test_closing_after_the_end_changes_nothing(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders
) -> None:
    tls_upstream.always(Stream(EVENTS))
    delivery = await open_chat(mesh, stream=True)
    assert b"".join([data async for data in delivery]) == b"".join(EVENTS)
    for _ in range(2):
        await delivery.aclose()
    assert observer.endings == [(200, None)]


PHASES: dict[str, Scripted] = {
    "waiting for the head": Cut(how="stall"),
    "in the head": Cut(Answer(body=chat_completion()), after=20, how="stall"),
    "before the first byte of a body": Cut(Answer(body=chat_completion()), after=70, how="stall"),
    "in a whole body": Cut(Answer(body=chat_completion()), at=0.9, how="stall"),
    "before the first byte of a stream": Stream([Gate()]),
    "in the first event of a stream": Stream([EVENTS[0][:9], Gate()]),
    "in the middle of a stream": Stream([*EVENTS[:2], Gate()]),
}


@pytest.mark.parametrize("answer", PHASES.values(), ids=PHASES)
async def test_cancelling_leaves_nothing_behind(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders, answer: Scripted
) -> None:
    tls_upstream.script(answer)
    task = asyncio.create_task(chat(mesh, stream=isinstance(answer, Stream)))
    (request,) = await asyncio.to_thread(tls_upstream.wait_for_requests, 1)
    await asyncio.sleep(0.03)  # what the upstream sends meanwhile is under way
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(request.wait_disconnected, 0.5)
    assert len(observer.endings) == len(observer) == 1
    _, error = observer.endings[0]
    assert error is not None
    assert not issubclass(error, UpstreamError)  # a client that leaves is not a provider's failure
    await _assert_nothing_is_left(tls_upstream)
    assert (await chat(mesh))[0] == 200


async def test_cancelling_a_handshake_leaves_nothing_behind(
    engine: str, ca: CertificateAuthority, ca_file: str, observer: Recorders
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca, mute=True) as upstream:
        settings = settings_for(upstream, ca_file, upstream_client=engine)
        mesh = Mesh([provider()], settings=settings, observer=observer)
        task = asyncio.create_task(chat(mesh))
        async with asyncio.timeout(5):
            while not upstream.accepted_connections:
                await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [status for status, _ in observer.endings] == [None]
        await _assert_nothing_is_left(upstream)
        await mesh.aclose()


async def test_cancelling_before_the_first_step_leaves_nothing_behind(
    mesh: Mesh, tls_upstream: FakeUpstream, observer: Recorders
) -> None:
    task = asyncio.create_task(chat(mesh))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert observer.endings == []
    assert tls_upstream.accepted_connections == 0


@pytest.mark.slow
async def test_200_exchanges_at_once_take_at_most_a_connection_each(
    tls_upstream: FakeUpstream, ca_file: str, observer: Recorders
) -> None:
    gate = Gate()
    tls_upstream.always(Answer(body=chat_completion(), delay=gate))
    settings = settings_for(tls_upstream, ca_file, connect_timeout=30)  # for a busy machine
    mesh = Mesh([provider()], settings=settings, observer=observer)
    chats = asyncio.gather(*(chat(mesh) for _ in range(200)))
    await asyncio.to_thread(tls_upstream.wait_for_requests, 200, 30)
    gate.open()
    assert {status for status, _ in await chats} == {200}
    assert observer.endings == [(200, None)] * 200
    assert tls_upstream.accepted_connections == 200
    await asyncio.gather(*(chat(mesh) for _ in range(200)))
    assert tls_upstream.accepted_connections == 200
    await mesh.aclose()
    await _assert_nothing_is_left(tls_upstream)
