"""Direct connections: names that are looked up once, addresses that are tried in turn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._engine.http.dialling.direct import Dialler, _in_turns, _race
from tests.processes import ROOT, clean_environment, free_port

LOOPS = (asyncio.new_event_loop, uvloop.new_event_loop)
HERE = "127.0.0.1"


class CountingLoop(asyncio.SelectorEventLoop):
    """A loop that counts its look-ups."""

    lookups = 0

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:
        self.lookups += 1
        return await super().getaddrinfo(*args, **kwargs)


@contextlib.contextmanager
def listener(backlog: int = 64) -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        sock.listen(backlog)
        yield sock


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that answers no new connection, as its queue is full."""
    with listener(backlog=0) as sock, contextlib.ExitStack() as waiting:
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


def address(port: int) -> tuple[int, int, int, tuple[object, ...]]:
    return socket.AF_INET, socket.SOCK_STREAM, 0, (HERE, port)


def run(make: Callable[[], asyncio.AbstractEventLoop], asked: Callable[[], Awaitable[int]]) -> int:
    async def limited() -> int:
        async with asyncio.timeout(10):
            return await asked()

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(limited())


async def port_of(*ports: int) -> int:
    sock = await _race(asyncio.get_running_loop(), [address(port) for port in ports])
    with sock:
        port: int = sock.getpeername()[1]
        return port


@pytest.mark.parametrize("loop", LOOPS)
def test_the_next_address_is_tried_when_one_refuses(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with listener() as sock:
        port = sock.getsockname()[1]
        assert run(loop, lambda: port_of(free_port(), port)) == port


@pytest.mark.parametrize("loop", LOOPS)
def test_the_next_address_is_tried_when_one_does_not_answer(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with deaf() as silent, listener() as sock:
        port = sock.getsockname()[1]
        assert run(loop, lambda: port_of(silent, port)) == port


@pytest.mark.parametrize("loop", LOOPS)
def test_a_failure_is_the_first_of_all_addresses(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with pytest.raises(ConnectionRefusedError):
        run(loop, lambda: port_of(free_port(), free_port()))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_caller_who_leaves_closes_every_socket(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def left() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await port_of(silent, silent)
        return 0

    with deaf() as silent:
        assert run(loop, left) == 0


def test_families_take_turns() -> None:
    four, six = address(1), (socket.AF_INET6, socket.SOCK_STREAM, 0, ("::1", 1, 0, 0))
    assert _in_turns([six, six, four]) == [six, four, six]
    assert _in_turns([four, four]) == [four, four]


def test_a_name_is_looked_up_once_for_all_that_ask() -> None:
    async def dial() -> int:
        loop = asyncio.get_running_loop()
        dialler = Dialler(loop)
        with listener() as sock:
            endpoint = Endpoint("one.example", "http", "localhost", sock.getsockname()[1], "")
            opened = await asyncio.gather(*(dialler.dial(endpoint, None) for _ in range(20)))
            for connection in opened:
                connection.abort()
            await asyncio.gather(*(connection.closed() for connection in opened))
        assert isinstance(loop, CountingLoop)
        return loop.lookups

    assert run(CountingLoop, dial) == 1


def test_an_address_is_not_looked_up() -> None:
    async def dial() -> int:
        loop = asyncio.get_running_loop()
        with listener() as sock:
            endpoint = Endpoint("one.example", "http", HERE, sock.getsockname()[1], "")
            connection = await Dialler(loop).dial(endpoint, None)
            connection.abort()
            await connection.closed()
        assert isinstance(loop, CountingLoop)
        return loop.lookups

    assert run(CountingLoop, dial) == 0


def test_a_client_without_a_proxy_imports_no_http_library() -> None:
    code = (
        "import sys, llm_mesh_middleware._engine.http.async_pooled_client;"
        "print(*{'aiohttp', 'httpx', 'httpcore'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []
