"""A server that cancels what is open, as all do at the end of their patience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, ServerShutdown
from llm_mesh_middleware.testing import FakeUpstream, Gate, Stream, chat_stream
from tests.streams.conftest import Site
from tests.streams.serving import PLAIN, Ends

EVENTS = chat_stream(["Good ", "day"])
Message = MutableMapping[str, Any]


class Exchange:
    """One request to the middleware, called directly: only so can it be cancelled at will."""

    def __init__(self, site: Site, *, has_body: bool = True, **settings: object) -> None:
        self.ends = Ends()
        mesh = Mesh(settings=site.settings(**settings), observer=self.ends)
        self.middleware = LLMMeshMiddleware(_nothing, mesh=mesh)
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.is_waiting = asyncio.Event()
        self._parts = [_body(is_whole=has_body)]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/",
            "headers": [(b"host", PLAIN.encode())],
            "client": ("127.0.0.1", 50000),
        }
        self.task = asyncio.create_task(self.middleware(scope, self._receive, self.sent.put))

    async def _receive(self) -> Message:
        if not self._parts:
            self.is_waiting.set()
            await asyncio.Event().wait()
        return self._parts.pop()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(5):
            while text not in (await self.sent.get()).get("body", b""):
                pass

    async def cancel(self) -> None:
        """As a server does."""
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def interrupt(self) -> None:
        """As `llm-mesh serve` does."""
        self.middleware.interrupt()
        await self.task

    def rest(self) -> list[Message]:
        return [self.sent.get_nowait() for _ in range(self.sent.qsize())]


End = Callable[[Exchange], Awaitable[None]]


@pytest.mark.parametrize("keepalive", [0, 0.02])
async def test_a_stream_that_is_cancelled_ends_with_an_error_event(
    site: Site, upstream: FakeUpstream, keepalive: float
) -> None:
    upstream.script(Stream([*EVENTS[:2], Gate()]))
    exchange = Exchange(site, sse_keepalive=keepalive)
    await exchange.until(b"Good ")
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task
    last = exchange.rest()[-1]
    assert not last.get("more_body")
    error = json.loads(last["body"].removeprefix(b"data: "))["error"]
    assert error["code"] == "stream_interrupted"
    assert await asyncio.to_thread(upstream.requests[-1].wait_disconnected, 1)
    await exchange.middleware.mesh.aclose()


async def test_a_stream_that_is_interrupted_ends_without_an_exception(
    site: Site, upstream: FakeUpstream
) -> None:
    upstream.script(Stream([*EVENTS[:2], Gate()]))
    exchange = Exchange(site)
    await exchange.until(b"Good ")
    exchange.middleware.interrupt()
    await exchange.task
    (last,) = [message for message in exchange.rest() if not message.get("more_body")]
    assert b"stream_interrupted" in last["body"]
    assert exchange.middleware._interrupts == set()
    status = exchange.middleware.mesh.health()["plain.example"]
    assert (status.consecutive_failures, status.in_flight) == (0, 0)
    await exchange.middleware.mesh.aclose()


@pytest.mark.parametrize("end", [Exchange.interrupt, Exchange.cancel])
@pytest.mark.parametrize("has_body", [True, False], ids=["waits", "sends its body"])
async def test_a_request_that_is_ended_before_its_answer_gets_503(
    site: Site, upstream: FakeUpstream, end: End, has_body: bool
) -> None:
    upstream.script(Stream([Gate()]))
    exchange = Exchange(site, has_body=has_body)
    await asyncio.wait_for(exchange.is_waiting.wait(), 5)
    if has_body:
        await asyncio.to_thread(upstream.wait_for_requests, 1)
    await end(exchange)
    start, body = exchange.rest()
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert json.loads(body["body"])["error"]["code"] == "server_shutdown"
    [(status, error, _)] = exchange.ends.seen
    assert (status, type(error)) == (503, ServerShutdown)
    assert exchange.middleware._interrupts == set()
    await exchange.middleware.mesh.aclose()


@pytest.mark.parametrize("end", [Exchange.interrupt, Exchange.cancel])
async def test_a_stream_of_comments_alone_ends_with_an_error_event(
    site: Site, upstream: FakeUpstream, end: End
) -> None:
    upstream.script(Stream([Gate()]))
    exchange = Exchange(site, sse_keepalive=0.02)
    await exchange.until(b": keep-alive")
    await end(exchange)
    last = exchange.rest()[-1]
    assert not last.get("more_body")
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["code"] == "server_shutdown"
    [(_, error, _)] = exchange.ends.seen
    assert isinstance(error, ServerShutdown)
    await exchange.middleware.mesh.aclose()


def _body(*, is_whole: bool) -> Message:
    body = {"stream": True, "messages": [{"role": "user", "content": "Good morning"}]}
    data = json.dumps(body).encode()
    if is_whole:
        return {"type": "http.request", "body": data}
    return {"type": "http.request", "body": data[:20], "more_body": True}


async def _nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("every request is for the mesh")
