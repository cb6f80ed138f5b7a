"""Many clients at a time, each with a connection and one call of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from tests.soak.calls import Call, request

__all__ = ["Client", "Crowd"]

_PATIENCE_S = 120.0
_CONNECTING = 256  # at a time, where they need not come at once
_STREAM = Call(0, True, (200,), b"data: [DONE]")
_ONCE = Call(0, False, (200,), b"Good morning to you")
_Found = TypeVar("_Found")


class Client:
    """One connection to the mesh."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def ask(cls, port: int, kind: str, call: Call, number: int) -> Client:
        """Connect and send a call."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client._writer.write(request(kind, call, number))
        return client

    async def read_event(self) -> None:
        """Wait for the head of the reply and for its first event."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise ValueError(head[:16].decode("latin-1"))
        await self._reader.readuntil(b"\n\n")

    async def read_rest(self, has: bytes) -> None:
        """Wait for the end of the reply, which must have `has` in it."""
        try:
            if has not in await self._reader.read():
                raise ValueError("a reply that is not complete")
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Crowd:
    """So many clients of one port; `errors` counts what went wrong, by its name."""

    def __init__(self, port: int, size: int) -> None:
        self._port = port
        self._size = size
        self.errors: Counter[str] = Counter()

    async def open(self, *kinds: str) -> list[Client]:
        """Open streams of these kinds in turns, and wait for their first events."""
        room = asyncio.Semaphore(_CONNECTING)

        async def one(number: int) -> Client:
            kind = kinds[number % len(kinds)]
            async with room:
                client = await Client.ask(self._port, kind, _STREAM, number)
            if kind != "left before it":
                await client.read_event()
            return client

        return await self._all(one(number) for number in range(self._size))

    async def finish(self, clients: Iterable[Client]) -> None:
        """Read all streams to their end."""
        await self._all(client.read_rest(_STREAM.has) for client in clients)

    async def return_at_once(self, clients: Iterable[Client]) -> None:
        """Have all clients leave, and as many come at the same moment for a whole response."""

        async def one(number: int) -> None:
            client = await Client.ask(self._port, "once", _ONCE, number)
            await client.read_rest(_ONCE.has)

        leaving = [client.leave() for client in clients]
        await self._all([*leaving, *(one(number) for number in range(self._size))])

    async def _all(self, calls: Iterable[Coroutine[Any, Any, _Found]]) -> list[_Found]:
        """Run all calls at once; return what the good ones have returned."""
        found = []

        async def one(call: Coroutine[Any, Any, _Found]) -> None:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    found.append(await call)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self.errors[f"{type(error).__name__}: {error}"] += 1

        await asyncio.gather(*map(one, calls))
        return found
