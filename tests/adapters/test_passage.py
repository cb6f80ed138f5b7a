"""What an ASGI server's `send` sees of a stream whose events are passed on where they arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.exceptions import ClientDisconnected
from llm_mesh_middleware.testing import Gate, Stream, chat_stream
from tests.conftest import DASHSCOPE, Providers
from tests.engine.meshes import Recorders
from tests.scopes import scope_of

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

EVENTS = chat_stream(["Good ", "morning", "!"])


class OneByOne:
    """A stream each of whose events comes when the client has the one before."""

    def __init__(self) -> None:
        self._gates = [Gate() for _ in EVENTS]
        self.answer = Stream(
            [part for pair in zip(EVENTS, self._gates, strict=True) for part in pair]
        )

    def go_on(self, message: Message) -> None:
        """Send the event after the one in `message`, if it has one."""
        if (event := message.get("body")) in EVENTS:
            self._gates[EVENTS.index(event)].open()


caller: ContextVar[str] = ContextVar("caller", default="nobody")


async def ask(mesh: Mesh, send: Send) -> None:
    """Ask for a stream, as a server does that hands `send` to its application."""
    app = LLMMeshMiddleware(lambda *_: asyncio.sleep(0), mesh=mesh)
    body = json.dumps({"messages": [], "stream": True}).encode()
    messages = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async with asyncio.timeout(5):
        await app(scope_of(DASHSCOPE), receive, send)


async def at_once(message: Message) -> None:
    """A server with room for it."""


async def after_others(message: Message) -> None:
    """A server that lets others go first."""
    await asyncio.sleep(0)


async def after_a_while(message: Message) -> None:
    """A server whose buffer is full for longer than an event takes to come."""
    await asyncio.sleep(0.012)


@pytest.mark.parametrize("take", [at_once, after_others, after_a_while])
async def test_a_stream_is_whole_however_it_is_taken(providers: Providers, take: Send) -> None:
    stream, taken = OneByOne(), []
    providers.dashscope.always(stream.answer)

    async def send(message: Message) -> None:
        if take is after_a_while:
            stream.go_on(message)
        await take(message)
        stream.go_on(message)
        taken.append(message.get("body", b""))

    async with aclosing(Mesh(settings=providers.settings())) as mesh:
        await ask(mesh, send)
    assert [data for data in taken if data] == EVENTS


async def test_the_task_and_its_context_are_those_of_the_request(providers: Providers) -> None:
    async with aclosing(Mesh(settings=providers.settings())) as mesh:
        for name in ("who opens the connection", "who uses it again"):
            caller.set(name)
            stream = OneByOne()
            seen = await seen_of(mesh, stream, providers)
            assert seen == [(asyncio.current_task(), name)] * (len(EVENTS) + 2)


async def seen_of(mesh: Mesh, stream: OneByOne, providers: Providers) -> list[tuple[object, str]]:
    """The running task and the caller, as the server finds them with each message."""
    providers.dashscope.always(stream.answer)
    seen = list[tuple[object, str]]()

    async def send(message: Message) -> None:
        seen.append((asyncio.current_task(), caller.get()))
        stream.go_on(message)

    await ask(mesh, send)
    return seen


@pytest.mark.parametrize("event", EVENTS[:3])
async def test_an_error_of_the_server_ends_the_call(providers: Providers, event: bytes) -> None:
    stream = OneByOne()
    providers.dashscope.always(stream.answer)

    async def send(message: Message) -> None:
        if message.get("body") == event:
            raise OSError("the client is gone")
        stream.go_on(message)

    seen = Recorders()
    mesh = Mesh(settings=providers.settings(), observer=seen)
    await ask(mesh, send)
    assert seen.endings == [(200, ClientDisconnected)]
    assert await asyncio.to_thread(providers.dashscope.requests[-1].wait_disconnected, 5.0)
    await mesh.aclose()


async def test_another_error_of_the_server_is_raised(providers: Providers) -> None:
    stream = OneByOne()
    providers.dashscope.always(stream.answer)

    async def send(message: Message) -> None:
        if message.get("body") == EVENTS[1]:
            raise ZeroDivisionError
        stream.go_on(message)

    async with aclosing(Mesh(settings=providers.settings())) as mesh:
        with pytest.raises(ZeroDivisionError):
            await ask(mesh, send)


async def test_a_server_may_cancel_the_request_where_it_takes_an_event(
    providers: Providers,
) -> None:
    stream = OneByOne()
    providers.dashscope.always(stream.answer)

    async def send(message: Message) -> None:
        if message.get("body") == EVENTS[1]:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.Event().wait()
        stream.go_on(message)

    seen = Recorders()
    mesh = Mesh(settings=providers.settings(), observer=seen)
    task = asyncio.create_task(ask(mesh, send))
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert len(seen.endings) == 1
    assert mesh.health()[DASHSCOPE].in_flight == 0
    await mesh.aclose()


async def test_a_time_out_of_the_server_is_its_own(providers: Providers) -> None:
    stream = OneByOne()
    providers.dashscope.always(stream.answer)
    has_timed_out = False

    async def send(message: Message) -> None:
        nonlocal has_timed_out
        if message.get("body") == EVENTS[1]:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
                return
            has_timed_out = True
        stream.go_on(message)

    async with aclosing(Mesh(settings=providers.settings())) as mesh:
        await ask(mesh, send)
    assert has_timed_out
