"""A provider that speaks when it is not its turn: unasked, or before it has heard all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from llm_mesh_middleware._engine.http.async_pooled_client import AsyncPooledClient
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.exceptions import UpstreamError, UpstreamProtocolError
from tests.engine.calls import call, read_piece, request_to

SIZE = 2**24
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Status\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@asynccontextmanager
async def provider(serve: Serve) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:  # since Python 3.12 the server waits for them
            writer.transport.abort()


async def test_what_is_said_unasked_is_not_taken_for_the_next_answer(
    client: AsyncUpstreamClient,
) -> None:
    has_spoken = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            writer.write(answer(200, b"asked"))
            await writer.drain()
            await asyncio.sleep(0.02)  # until the connection is idle
            writer.write(answer(200, b"unasked"))
            await writer.drain()
            await asyncio.sleep(0.02)
            has_spoken.set()

    async with provider(serve) as url:
        for _ in range(3):
            has_spoken.clear()
            assert await call(client, request_to(url)) == b"asked"
            await has_spoken.wait()


async def test_a_connection_whose_request_was_answered_too_early_is_given_up(
    contexts: TLSContexts,
) -> None:
    """httpx reads nothing before it has written all, so there it takes until the time limit."""
    has_left, is_over = asyncio.Event(), asyncio.Event()
    connections = received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, received
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections == 1:
            writer.write(answer(413, b"too long"))
            await has_left.wait()
            with contextlib.suppress(ConnectionResetError):
                while data := await reader.read(2**20):
                    received += len(data)
            is_over.set()
        else:
            writer.write(answer(200, b"heard"))
            await reader.read(2**20)

    client = AsyncPooledClient(contexts, trust_env=False)
    async with provider(serve) as url, asyncio.timeout(5):
        response = await client.open(request_to(url, body=b"x" * SIZE))
        assert response.head.status == 413
        assert await read_piece(response) == b"too long"
        await response.aclose()
        has_left.set()
        await is_over.wait()
        assert await call(client, request_to(url)) == b"heard"
        await client.aclose()
    assert connections == 2
    assert received < SIZE


async def test_what_came_before_a_reset_is_delivered(contexts: TLSContexts) -> None:
    is_reset = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(200, b"twelve bytes")[: -len(b" bytes")])
        await writer.drain()
        await asyncio.sleep(0.02)  # until it has been read
        socket_of(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        is_reset.set()

    client = AsyncPooledClient(contexts, trust_env=False)
    async with provider(serve) as url, asyncio.timeout(5):
        response = await client.open(request_to(url))
        await is_reset.wait()
        await asyncio.sleep(0.02)  # until the reset is here too
        assert await read_piece(response) == b"twelve"
        with pytest.raises(UpstreamProtocolError):
            await read_piece(response)
        await response.aclose()
        await client.aclose()


async def test_a_provider_that_speaks_first_is_not_asked_over_and_over(
    client: AsyncUpstreamClient,
) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"220 mail.example ready\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with provider(serve) as url, asyncio.timeout(5):
        with pytest.raises(UpstreamError):
            await call(client, request_to(url))
    assert connections == 1


def socket_of(writer: asyncio.StreamWriter) -> socket.socket:
    found: socket.socket = writer.get_extra_info("socket")
    return found
