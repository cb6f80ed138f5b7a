"""A provider that restarts while connections to it are kept."""

from __future__ import annotations

import asyncio
import contextlib

from tests.engine.calls import MakeClient, call, request_to


async def test_a_restarted_provider_gets_a_new_connection_and_not_another_old_one(
    make_client: MakeClient,
) -> None:
    """It closes every connection that was open, and the client notices when it uses one."""
    both, is_restarted = asyncio.Barrier(2), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_old = not is_restarted.is_set()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"Good morning")
                await reader.readuntil(b"}]}")
                if is_old and is_restarted.is_set():
                    break
                if is_old:
                    await both.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    client = make_client()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        request = request_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.gather(call(client, request), call(client, request))
        is_restarted.set()
        assert await call(client, request) == b"ok"
        await client.aclose()
